/** Reads rollups over a range of time: whole days from the daily table, the hours around them from the hourly one. */
import type Database from 'better-sqlite3';
import { ROLLUP_LABELS } from '../columns.ts';
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
  // Series once, and the many rows without them: a join would put each row's labels together anew.
  const series = seriesOf(db, range);
  function* read(table: string, first: number, end: number): Generator<RollupRow> {
    if (first >= end) return;
    const rows = db.prepare<[number, number], Omit<RollupRow, keyof Series> & { readonly series_id: number }>(
      `SELECT bucket, series_id, count, sum, duration_count, duration_sum_ms, duration_min_ms, duration_max_ms, histogram
       FROM ${table} WHERE bucket >= ? AND bucket < ?`,
    );
    for (const row of rows.iterate(first, end)) {
      const labels = series.get(row.series_id);
      if (labels !== undefined) yield { ...labels, ...row };
    }
  }
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

type Series = Pick<RollupRow, 'type' | 'service' | 'overflow' | RollupLabel>;

/** The series that a range asks for, by id. */
function seriesOf(db: Database.Database, { types, service, labels }: RollupRange): Map<number, Series> {
  const conditions = ['true'];
  const values: (string | number)[] = [];
  if (types !== undefined) {
    conditions.push(`type IN (${types.map(() => '?').join(', ')})`);
    values.push(...types);
  }
  if (service !== undefined) {
    conditions.push('service = ?');
    values.push(service);
  }
  for (const [label, value] of Object.entries(labels ?? {})) {
    conditions.push(`${label} = ?`);
    values.push(value);
  }
  const rows = db
    .prepare<(string | number)[], Series & { readonly id: number }>(
      `SELECT id, type, service, overflow, ${ROLLUP_LABELS.join(', ')} FROM rollup_series WHERE ${conditions.join(' AND ')}`,
    )
    .all(...values);
  return new Map(rows.map(({ id, ...series }) => [id, series]));
}
