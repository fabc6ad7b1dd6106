/** Reads rollups over a range of time: whole days from the daily table, the hours around them from the hourly one. */
import type Database from 'better-sqlite3';
import type { ROLLUP_LABELS } from '../columns.ts';
import { DAY_MS, HOUR_MS } from '../rollup-series.ts';

export type RollupLabel = (typeof ROLLUP_LABELS)[number];

export type RollupRow = {
  readonly bucket: number;
  readonly type: number;
  readonly service: string;
  readonly overflow: 0 | 1;
  readonly count: number;
  readonly sum: number;
  readonly duration_count: number;
  readonly duration_sum_ms: number;
  readonly duration_min_ms: number | null;
  readonly duration_max_ms: number | null;
  readonly histogram: string;
} & { readonly [Label in RollupLabel]: string | number | null };

export interface RollupRange {
  /** Milliseconds since the Unix epoch; widened to whole hours (with `step: 'day'` to days). */
  readonly from: number;
  readonly to: number;
  /** Numbers of types; absent: all. */
  readonly types?: readonly number[];
  readonly service?: string;
  /** Values that labels must have. */
  readonly labels?: Readonly<Partial<Record<RollupLabel, string | number>>>;
  /** `hour` and `day` read that table alone, for points over time. Default: whichever takes fewer rows. */
  readonly step?: 'hour' | 'day';
}

/** The range that is really read. */
export function widen({ from, to, step }: Pick<RollupRange, 'from' | 'to' | 'step'>): { from: number; to: number } {
  const unit = step === 'day' ? DAY_MS : HOUR_MS;
  return { from: Math.floor(from / unit) * unit, to: Math.ceil(to / unit) * unit };
}

export function* readRollups(db: Database.Database, range: RollupRange): Generator<RollupRow> {
  const { from, to } = widen(range);
  const conditions = ['r.bucket >= ?', 'r.bucket < ?'];
  const values: (string | number)[] = [];
  if (range.types !== undefined) {
    conditions.push(`s.type IN (${range.types.map(() => '?').join(', ')})`);
    values.push(...range.types);
  }
  if (range.service !== undefined) {
    conditions.push('s.service = ?');
    values.push(range.service);
  }
  for (const [label, value] of Object.entries(range.labels ?? {})) {
    conditions.push(`s.${label} = ?`);
    values.push(value);
  }
  const read = (table: string, first: number, end: number): Iterable<RollupRow> =>
    first >= end
      ? []
      : db
          .prepare<(string | number)[], RollupRow>(
            `SELECT s.*, r.* FROM ${table} r CROSS JOIN rollup_series s ON s.id = r.series_id WHERE ${conditions.join(' AND ')}`,
          )
          .iterate(first, end, ...values);
  if (range.step !== undefined) {
    yield* read(range.step === 'day' ? 'rollup_daily' : 'rollup_hourly', from, to);
    return;
  }
  const firstDay = Math.ceil(from / DAY_MS) * DAY_MS;
  const lastDay = Math.floor(to / DAY_MS) * DAY_MS;
  if (firstDay >= lastDay) {
    yield* read('rollup_hourly', from, to);
    return;
  }
  yield* read('rollup_hourly', from, firstDay);
  yield* read('rollup_daily', firstDay, lastDay);
  yield* read('rollup_hourly', lastDay, to);
}
