/** How much the tables hold, how old it is, and what retention would take. */
import { statSync } from 'node:fs';
import type Database from 'better-sqlite3';
import { METRIC_TYPES } from '../../core/metric.ts';
import { typeNumber } from './columns.ts';
import { type Cutoffs, type RetentionTable, typesOf } from './retention-policies.ts';

/** Rows and the first and last of their timestamps (milliseconds); without rows both are null. */
export interface RowRange {
  readonly rows: number;
  readonly oldest: number | null;
  readonly newest: number | null;
}

const NO_ROWS: RowRange = { rows: 0, oldest: null, newest: null };

/** What there is of each type, by number from 1, and in each rollup table. */
export interface Ranges {
  readonly byType: Readonly<Record<number, RowRange>>;
  readonly hourly: RowRange;
  readonly daily: RowRange;
}

export interface EventStats extends Ranges {
  /** Cleanup has taken raw rows of some type before this time, in milliseconds; 0: never. */
  readonly deletedBefore: number;
}

/** How many events at either end are looked through before the rare types are looked for one by one. */
const EVENTS_AT_AN_END = 5000;

export function eventStats(db: Database.Database): EventStats {
  const counts = db.prepare<[], { type: number; count: number }>('SELECT type, count FROM event_counts').all();
  const oldest = edges(db, 'ASC');
  const newest = edges(db, 'DESC');
  const byType: Record<number, RowRange> = {};
  for (const { type, count: rows } of counts) {
    byType[type] = rows === 0 ? NO_ROWS : { rows, oldest: oldest(type), newest: newest(type) };
  }
  return {
    byType,
    hourly: rollupRange(db, 'rollup_hourly'),
    daily: rollupRange(db, 'rollup_daily'),
    deletedBefore: db.prepare<[], number>('SELECT max(deleted_before) FROM event_counts').pluck().get() ?? 0,
  };
}

/**
 * The first or last timestamp of a type, before a time. Most types are found near the end of all events; of the others
 * each attribute set takes one seek.
 */
function edges(
  db: Database.Database,
  direction: 'ASC' | 'DESC',
  before = Number.MAX_SAFE_INTEGER,
): (type: number) => number | null {
  const edge = direction === 'ASC' ? 'min' : 'max';
  const near = new Map(
    db
      .prepare<[number], { type: number; timestamp: number }>(
        `SELECT type, ${edge}(timestamp) AS timestamp FROM
           (SELECT type, timestamp FROM events WHERE timestamp < ? ORDER BY timestamp ${direction} LIMIT ${EVENTS_AT_AN_END})
         GROUP BY type`,
      )
      .all(before)
      .map(({ type, timestamp }) => [type, timestamp]),
  );
  const rare = db
    .prepare<[number, number], number | null>(
      `SELECT ${edge}((SELECT e.timestamp FROM events e WHERE e.attribute_set_id = s.id AND e.timestamp < ?
         ORDER BY e.timestamp ${direction} LIMIT 1)) FROM attribute_sets s WHERE s.type = ?`,
    )
    .pluck();
  return (type) => near.get(type) ?? rare.get(before, type) ?? null;
}

const rollupRange = (db: Database.Database, table: string): RowRange =>
  db
    .prepare<[string], RowRange>(
      `SELECT count AS rows, (SELECT min(bucket) FROM ${table}) AS oldest, (SELECT max(bucket) FROM ${table}) AS newest
       FROM rollup_counts WHERE table_name = ?`,
    )
    .get(table) ?? NO_ROWS;

/** What lies before the cutoffs; a missing cutoff takes nothing. */
export function rowsBefore(db: Database.Database, cutoffs: Cutoffs): Ranges {
  const byType: Record<number, RowRange> = {};
  for (const [at] of METRIC_TYPES.entries()) byType[at + 1] = NO_ROWS;
  // One pass per distinct cutoff: types mostly share one. Sums side by side, as GROUP BY would sort all that it counts,
  // which takes four times as long.
  const distinct = new Set(Object.values(cutoffs.byType));
  const select = db
    .prepare<[number], (number | null)[]>(
      `SELECT ${METRIC_TYPES.map((_, at) => `sum(type = ${at + 1})`).join(', ')} FROM events WHERE timestamp < ?`,
    )
    .raw();
  for (const cutoff of distinct) {
    if (cutoff === undefined) continue;
    const oldest = edges(db, 'ASC', cutoff);
    const newest = edges(db, 'DESC', cutoff);
    for (const [at, rows] of (select.get(cutoff) ?? []).entries()) {
      const type = at + 1;
      if (cutoffs.byType[type] !== cutoff || rows === null || rows === 0) continue;
      byType[type] = { rows, oldest: oldest(type), newest: newest(type) };
    }
  }
  const rollup = (table: string, cutoff: number | undefined): RowRange =>
    cutoff === undefined
      ? NO_ROWS
      : (db
          .prepare<[number], RowRange>(
            `SELECT count(*) AS rows, min(bucket) AS oldest, max(bucket) AS newest FROM ${table} WHERE bucket < ?`,
          )
          .get(cutoff) ?? NO_ROWS);
  return { byType, hourly: rollup('rollup_hourly', cutoffs.hourly), daily: rollup('rollup_daily', cutoffs.daily) };
}

/** A table's own range: all types that it shows, or its rollups. */
export function rangeOf(ranges: Ranges, table: RetentionTable): RowRange {
  if (table === 'metrics_hourly') return ranges.hourly;
  if (table === 'metrics_daily') return ranges.daily;
  const parts = typesOf(table).flatMap((type) => ranges.byType[typeNumber(type)] ?? []);
  const known = (edge: 'oldest' | 'newest'): number[] => parts.flatMap((part) => part[edge] ?? []);
  return {
    rows: parts.reduce((sum, { rows }) => sum + rows, 0),
    oldest: known('oldest').reduce<number | null>((least, each) => Math.min(least ?? each, each), null),
    newest: known('newest').reduce<number | null>((most, each) => Math.max(most ?? each, each), null),
  };
}

/** Sizes in the units and names that deployed tools read. */
export function databaseSize(db: Database.Database, path: string) {
  const bytesOf = (file: string): number => statSync(file, { throwIfNoEntry: false })?.size ?? 0;
  const pragma = (name: string): number => db.pragma(name, { simple: true }) as number;
  const main = bytesOf(path);
  const wal = bytesOf(`${path}-wal`);
  const pages = pragma('page_count');
  const free = pragma('freelist_count');
  const megabytes = (bytes: number): number => Math.round((bytes / 1024 ** 2) * 100) / 100;
  return {
    main_db_bytes: main,
    main_db_mb: megabytes(main),
    wal_bytes: wal,
    wal_mb: megabytes(wal),
    total_bytes: main + wal,
    total_mb: megabytes(main + wal),
    total_gb: Math.round(((main + wal) / 1024 ** 3) * 1000) / 1000,
    page_count: pages,
    page_size: pragma('page_size'),
    free_pages: free,
    used_pages: pages - free,
    database_efficiency: pages === 0 ? 100 : Math.round(((pages - free) / pages) * 10_000) / 100,
  };
}
