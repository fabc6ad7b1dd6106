/** One rollup row in the making: events are added one by one, in row order, so that sums come out the same each time. */
import type { MetricEvent } from '../../core/metric.ts';
import { encodeHistogram, type Histogram, observe } from './histogram.ts';

export interface Accumulator {
  count: number;
  sum: number;
  min: number;
  max: number;
  durationCount: number;
  durationSumMs: number;
  durationMinMs: number | null;
  durationMaxMs: number | null;
  readonly histogram: Histogram;
}

/** What of an event a rollup takes. */
export type Rolled = Pick<MetricEvent, 'type' | 'timestamp' | 'value' | 'durationMs'>;

export const emptyAccumulator = (): Accumulator => ({
  count: 0,
  sum: 0,
  min: Number.POSITIVE_INFINITY,
  max: Number.NEGATIVE_INFINITY,
  durationCount: 0,
  durationSumMs: 0,
  durationMinMs: null,
  durationMaxMs: null,
  histogram: new Map(),
});

/** The duration that an event's histogram takes, in milliseconds; protocol latency's is its value. */
const durationOf = ({ type, value, durationMs }: Rolled): number | undefined =>
  type === 'protocol_latency' ? value * 1000 : durationMs;

export function accumulate(row: Accumulator, event: Rolled): void {
  const { value } = event;
  row.count += 1;
  row.sum += value;
  if (value < row.min) row.min = value;
  if (value > row.max) row.max = value;
  const duration = durationOf(event);
  if (duration === undefined) return;
  row.durationCount += 1;
  row.durationSumMs += duration;
  if (row.durationMinMs === null || duration < row.durationMinMs) row.durationMinMs = duration;
  if (row.durationMaxMs === null || duration > row.durationMaxMs) row.durationMaxMs = duration;
  observe(row.histogram, duration);
}

/** Values in the order of ROLLUP_VALUE_COLUMNS. */
export const valuesOf = (row: Accumulator): (string | number | null)[] => [
  row.count,
  row.sum,
  row.min,
  row.max,
  row.durationCount,
  row.durationSumMs,
  row.durationMinMs,
  row.durationMaxMs,
  encodeHistogram(row.histogram),
];

export const ROLLUP_VALUE_COLUMNS =
  'count, sum, min, max, duration_count, duration_sum_ms, duration_min_ms, duration_max_ms, histogram';
