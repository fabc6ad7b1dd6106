/** An hour's or a day's rollup rows made anew from the raw rows, as the writer made them the first time. */
import type Database from 'better-sqlite3';
import { accumulate, type Accumulator, emptyAccumulator, valuesOf } from './rollup-accumulator.ts';
import { overflowSeries, type RollupSeries } from './rollup-series.ts';
import type { RebuiltRow } from './rollup-table.ts';
import { openRolledEvents } from './rolled-events.ts';

export interface RebuiltBucket {
  readonly rows: readonly RebuiltRow[];
  /** The last event that is counted in; what came after it is not. */
  readonly throughId: number;
}

export function rebuildBucket(db: Database.Database, bucket: number, bucketMs: number, maxRows: number): RebuiltBucket {
  const events = openRolledEvents(db);
  const rows = new Map<string, { series: RollupSeries; overflow: boolean; row: Accumulator }>();
  const ids = events.ids(bucket, bucket + bucketMs, 0);
  let own = 0;
  for (const id of ids) {
    const found = events.read(id);
    if (found === undefined) continue;
    let { series } = found;
    let entry = rows.get(series.key);
    if (entry === undefined) {
      const overflow = own >= maxRows;
      if (overflow) {
        series = overflowSeries(series.type);
        entry = rows.get(series.key);
      } else own += 1;
      if (entry === undefined) {
        entry = { series, overflow, row: emptyAccumulator() };
        rows.set(series.key, entry);
      }
    }
    accumulate(entry.row, found.event);
  }
  return {
    rows: [...rows.values()].map(({ series, overflow, row }) => ({ series, overflow, values: valuesOf(row) })),
    throughId: ids.at(-1) ?? 0,
  };
}

/** Starts of the hours or days from `from` on that hold raw rows or rollup rows. */
export function filledBuckets(
  db: Database.Database,
  table: 'rollup_hourly' | 'rollup_daily',
  from: number,
  bucketMs: number,
): number[] {
  const nextEvent = db
    .prepare<[number], number | null>('SELECT min(timestamp) FROM events WHERE timestamp >= ?')
    .pluck();
  const nextRollup = db.prepare<[number], number | null>(`SELECT min(bucket) FROM ${table} WHERE bucket >= ?`).pluck();
  const found: number[] = [];
  let at = from;
  for (;;) {
    const next = Math.min(
      nextEvent.get(at) ?? Number.POSITIVE_INFINITY,
      nextRollup.get(at) ?? Number.POSITIVE_INFINITY,
    );
    if (next === Number.POSITIVE_INFINITY) return found;
    const bucket = Math.floor(next / bucketMs) * bucketMs;
    found.push(bucket);
    at = bucket + bucketMs;
  }
}
