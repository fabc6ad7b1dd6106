/** Rollup rows added up: counts, success, and the durations' histogram. */
import { addHistogram, type Histogram, quantile } from '../histogram.ts';
import type { RollupRow } from './rollup-reader.ts';

export interface Aggregate {
  count: number;
  /** Sum of `value`. */
  sum: number;
  successes: number;
  failures: number;
  durationCount: number;
  durationSumMs: number;
  durationMinMs: number | null;
  durationMaxMs: number | null;
  readonly histogram: Histogram;
}

export const emptyAggregate = (): Aggregate => ({
  count: 0,
  sum: 0,
  successes: 0,
  failures: 0,
  durationCount: 0,
  durationSumMs: 0,
  durationMinMs: null,
  durationMaxMs: null,
  histogram: new Map(),
});

export function addRow(aggregate: Aggregate, row: RollupRow): void {
  aggregate.count += row.count;
  aggregate.sum += row.sum;
  const outcome = row.success ?? row.healthy;
  if (outcome === 1) aggregate.successes += row.count;
  else if (outcome === 0) aggregate.failures += row.count;
  if (row.duration_count === 0) return;
  aggregate.durationCount += row.duration_count;
  aggregate.durationSumMs += row.duration_sum_ms;
  const { duration_min_ms: min, duration_max_ms: max } = row;
  if (min !== null && (aggregate.durationMinMs === null || min < aggregate.durationMinMs))
    aggregate.durationMinMs = min;
  if (max !== null && (aggregate.durationMaxMs === null || max > aggregate.durationMaxMs))
    aggregate.durationMaxMs = max;
  addHistogram(aggregate.histogram, row.histogram);
}

/** What answers show of an aggregate. Rates are 0 to 1 and null where no event says how it went. */
export interface Summary {
  readonly count: number;
  readonly failures: number;
  readonly success_rate: number | null;
  readonly avg_ms: number | null;
  readonly p50_ms: number | null;
  readonly p95_ms: number | null;
  readonly p99_ms: number | null;
}

const rounded = (value: number | undefined): number | null =>
  value === undefined ? null : Number(value.toPrecision(6));

export function summarise(aggregate: Aggregate): Summary {
  const { histogram, durationMinMs, durationMaxMs, successes, failures } = aggregate;
  const at = (q: number): number | null =>
    rounded(quantile(histogram, q, durationMinMs ?? undefined, durationMaxMs ?? undefined));
  const known = successes + failures;
  return {
    count: aggregate.count,
    failures,
    success_rate: known === 0 ? null : rounded(successes / known),
    avg_ms: aggregate.durationCount === 0 ? null : rounded(aggregate.durationSumMs / aggregate.durationCount),
    p50_ms: at(0.5),
    p95_ms: at(0.95),
    p99_ms: at(0.99),
  };
}
