/** A day's rollup rows, and those of its hours, made anew from the raw rows, as the writer made them the first time. */
import { deserialize, serialize } from 'node:v8';
import type Database from 'better-sqlite3';
import { accumulate, type Accumulator, emptyAccumulator, valuesOf } from './rollup-accumulator.ts';
import { DAY_MS, HOUR_MS, overflowSeries, type RollupSeries } from './rollup-series.ts';
import type { RebuiltRow } from './rollup-table.ts';
import type { RollupCaps } from './rollup-writer.ts';
import { openRolledEvents, type RolledEvent } from './rolled-events.ts';

export interface RebuiltBucket {
  readonly table: 'rollup_hourly' | 'rollup_daily';
  readonly bucket: number;
  readonly rows: readonly RebuiltRow[];
}

export interface RebuiltDay {
  /** Buckets serialised, so that the thread between reader and writer only hands bytes on; each part is one transaction's work. */
  readonly parts: readonly Uint8Array[];
  readonly hours: number;
  readonly days: number;
  /** The last event that there was; what came after it is not counted in. */
  readonly seenId: number;
}

/** Rollup rows that one transaction replaces, roughly: so many hold the writer for some milliseconds. */
const ROWS_PER_PART = 500;

export const readPart = (part: Uint8Array): RebuiltBucket[] => deserialize(part) as RebuiltBucket[];

/** @param from the hours, and the day, that begin earlier are left out */
export function rebuildDay(db: Database.Database, day: number, from: number, caps: RollupCaps): RebuiltDay {
  const events = openRolledEvents(db);
  const end = day + DAY_MS;
  const firstHour = Math.max(day, Math.ceil(from / HOUR_MS) * HOUR_MS);
  const daily = day >= from ? bucketInTheMaking(caps.maxDailyRows) : undefined;
  const hourly = new Map<number, BucketInTheMaking>();
  // Hours that have rollups but no raw rows are made anew as well: without rows.
  const { ids, seenId, hours } = db.transaction(() => ({
    ids: events.ids(firstHour, end),
    seenId: events.lastId(),
    hours: db
      .prepare<[number, number], number>('SELECT DISTINCT bucket FROM rollup_hourly WHERE bucket >= ? AND bucket < ?')
      .pluck()
      .all(firstHour, end),
  }))();
  for (const hour of hours) hourly.set(hour, bucketInTheMaking(caps.maxHourlyRows));
  for (const id of ids) {
    const found = events.read(id);
    if (found === undefined) continue;
    const hour = Math.floor(found.event.timestamp / HOUR_MS) * HOUR_MS;
    let making = hourly.get(hour);
    if (making === undefined) {
      making = bucketInTheMaking(caps.maxHourlyRows);
      hourly.set(hour, making);
    }
    making.add(found);
    daily?.add(found);
  }
  const buckets: RebuiltBucket[] = [...hourly]
    .toSorted(([one], [other]) => one - other)
    .map(([bucket, making]) => ({ table: 'rollup_hourly', bucket, rows: making.rows() }));
  if (daily !== undefined) buckets.push({ table: 'rollup_daily', bucket: day, rows: daily.rows() });
  const parts = inParts(buckets).map((part) => serialize(part));
  return { parts, seenId, hours: hourly.size, days: daily === undefined ? 0 : 1 };
}

function inParts(buckets: readonly RebuiltBucket[]): RebuiltBucket[][] {
  const parts: RebuiltBucket[][] = [];
  let rows = Number.POSITIVE_INFINITY;
  for (const bucket of buckets) {
    if (rows + bucket.rows.length > ROWS_PER_PART) {
      parts.push([]);
      rows = 0;
    }
    parts.at(-1)!.push(bucket);
    rows += bucket.rows.length;
  }
  return parts;
}

interface BucketInTheMaking {
  readonly add: (event: RolledEvent) => void;
  readonly rows: () => RebuiltRow[];
}

/** @param maxRows series that get a row of their own, first come, first served; the others share their type's overflow row */
function bucketInTheMaking(maxRows: number): BucketInTheMaking {
  const rows = new Map<string, { series: RollupSeries; overflow: boolean; row: Accumulator }>();
  let own = 0;
  return {
    add: ({ event, series }) => {
      let entry = rows.get(series.key);
      if (entry === undefined) {
        const overflow = own >= maxRows;
        const kept = overflow ? overflowSeries(series.type) : series;
        entry = rows.get(kept.key);
        if (entry === undefined) {
          entry = { series: kept, overflow, row: emptyAccumulator() };
          rows.set(kept.key, entry);
        }
        if (!overflow) own += 1;
      }
      accumulate(entry.row, event);
    },
    rows: () => [...rows.values()].map(({ series, overflow, row }) => ({ series, overflow, values: valuesOf(row) })),
  };
}

/** Starts of the days that hold raw rows or rollups from `from` on, the one in which it lies included. */
export function filledDays(db: Database.Database, from: number): number[] {
  const next = ['SELECT min(timestamp) FROM events WHERE timestamp >= ?']
    .concat(['rollup_hourly', 'rollup_daily'].map((table) => `SELECT min(bucket) FROM ${table} WHERE bucket >= ?`))
    .map((sql) => db.prepare<[number], number | null>(sql).pluck());
  const found: number[] = [];
  let at = from;
  for (;;) {
    const earliest = Math.min(...next.map((statement) => statement.get(at) ?? Number.POSITIVE_INFINITY));
    if (earliest === Number.POSITIVE_INFINITY) return found;
    const day = Math.floor(earliest / DAY_MS) * DAY_MS;
    found.push(day);
    at = day + DAY_MS;
  }
}
