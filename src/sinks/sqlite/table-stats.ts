/** How much the tables hold, how old it is, and what retention would take. */
import { statSync } from 'node:fs';
import type Database from 'better-sqlite3';
import { METRIC_TYPES } from '../../core/metric.ts';

/** Rows and the first and last of their timestamps (milliseconds); without rows both are null. */
export interface RowRange {
  readonly rows: number;
  readonly oldest: number | null;
  readonly newest: number | null;
}

export interface EventStats {
  /** By number of type, from 1. */
  readonly byType: Readonly<Record<number, RowRange>>;
  readonly hourly: RowRange;
  readonly daily: RowRange;
  /** Cleanup has taken raw rows of some type before this time, in milliseconds; 0: never. */
  readonly deletedBefore: number;
}

export function eventStats(db: Database.Database): EventStats {
  const counts = new Map(
    db
      .prepare<[], { type: number; count: number }>('SELECT type, count FROM event_counts')
      .all()
      .map(({ type, count }) => [type, count]),
  );
  // By way of the attribute sets: one seek each, however rare the type is.
  const edge = (direction: 'ASC' | 'DESC', type: number): number | null =>
    db
      .prepare<[number], number | null>(
        `SELECT ${direction === 'ASC' ? 'min' : 'max'}((SELECT e.timestamp FROM events e WHERE e.attribute_set_id = s.id
           ORDER BY e.timestamp ${direction} LIMIT 1)) FROM attribute_sets s WHERE s.type = ?`,
      )
      .pluck()
      .get(type) ?? null;
  const byType: Record<number, RowRange> = {};
  for (const [at] of METRIC_TYPES.entries()) {
    const type = at + 1;
    const rows = counts.get(type) ?? 0;
    byType[type] =
      rows === 0
        ? { rows, oldest: null, newest: null }
        : { rows, oldest: edge('ASC', type), newest: edge('DESC', type) };
  }
  return {
    byType,
    hourly: rollupRange(db, 'rollup_hourly'),
    daily: rollupRange(db, 'rollup_daily'),
    deletedBefore: db.prepare<[], number>('SELECT max(deleted_before) FROM event_counts').pluck().get() ?? 0,
  };
}

const rollupRange = (db: Database.Database, table: string): RowRange =>
  db
    .prepare<[], RowRange>(
      `SELECT (SELECT count(*) FROM ${table}) AS rows, (SELECT min(bucket) FROM ${table}) AS oldest, (SELECT max(bucket) FROM ${table}) AS newest`,
    )
    .get() ?? { rows: 0, oldest: null, newest: null };

export interface RowsBefore {
  readonly byType: Readonly<Record<number, RowRange>>;
  readonly hourly: RowRange;
  readonly daily: RowRange;
}

/** What lies before the cutoffs; a missing cutoff takes nothing. */
export function rowsBefore(
  db: Database.Database,
  cutoffs: {
    readonly byType: Readonly<Record<number, number | undefined>>;
    readonly hourly: number | undefined;
    readonly daily: number | undefined;
  },
): RowsBefore {
  const nothing: RowRange = { rows: 0, oldest: null, newest: null };
  const byType: Record<number, RowRange> = {};
  for (const [at] of METRIC_TYPES.entries()) byType[at + 1] = nothing;
  // One pass per distinct cutoff: types mostly share one.
  const distinct = new Set(Object.values(cutoffs.byType));
  const select = db.prepare<[number], { type: number } & RowRange>(
    'SELECT type, count(*) AS rows, min(timestamp) AS oldest, max(timestamp) AS newest FROM events WHERE timestamp < ? GROUP BY type',
  );
  for (const cutoff of distinct) {
    if (cutoff === undefined) continue;
    for (const { type, ...range } of select.all(cutoff)) {
      if (cutoffs.byType[type] === cutoff) byType[type] = range;
    }
  }
  const rollup = (table: string, cutoff: number | undefined): RowRange =>
    cutoff === undefined
      ? nothing
      : (db
          .prepare<[number], RowRange>(
            `SELECT count(*) AS rows, min(bucket) AS oldest, max(bucket) AS newest FROM ${table} WHERE bucket < ?`,
          )
          .get(cutoff) ?? nothing);
  return { byType, hourly: rollup('rollup_hourly', cutoffs.hourly), daily: rollup('rollup_daily', cutoffs.daily) };
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
