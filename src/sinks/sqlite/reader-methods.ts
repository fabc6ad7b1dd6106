/** What the reader's thread does on request. It opens the database for reading only. */
import type Database from 'better-sqlite3';
import { openForReading } from './database.ts';
import { guardFile } from './database-file.ts';
import type { QueryName, QueryParameters } from './query-names.ts';
import { filledBuckets, rebuildBucket, type RebuiltBucket } from './rebuild-bucket.ts';
import type { RetentionPolicy } from './retention-policies.ts';
import { type QueryAnswer, runQuery } from './run-query.ts';
import { databaseSize, eventStats, type EventStats, rowsBefore, type RowsBefore } from './table-stats.ts';

export type ReaderMethods = ReturnType<typeof createReaderMethods>;

export function createReaderMethods({ path }: { readonly path: string }) {
  let open: { readonly db: Database.Database; readonly guard: ReturnType<typeof guardFile> } | undefined;

  /** The database at the path, opened anew when it is another file than before. */
  function use(): Database.Database {
    const state = open?.guard.check();
    if (open !== undefined && (state === 'same' || state === 'wal-gone')) return open.db;
    open?.db.close();
    open = undefined;
    const db = openForReading(path);
    open = { db, guard: guardFile(path) };
    return db;
  }

  return {
    eventStats: (): EventStats => eventStats(use()),
    rowsBefore: (cutoffs: Parameters<typeof rowsBefore>[1]): RowsBefore => rowsBefore(use(), cutoffs),
    size: () => databaseSize(use(), path),
    query: (
      name: QueryName,
      parameters: QueryParameters,
      context: { readonly now: number; readonly policies: readonly RetentionPolicy[] },
    ): QueryAnswer => runQuery(name, parameters, { db: use(), path, ...context }),
    rebuildBucket: (bucket: number, bucketMs: number, maxRows: number): RebuiltBucket =>
      rebuildBucket(use(), bucket, bucketMs, maxRows),
    filledBuckets: (table: 'rollup_hourly' | 'rollup_daily', from: number, bucketMs: number): number[] =>
      filledBuckets(use(), table, from, bucketMs),
    close: (): void => {
      open?.db.close();
      open = undefined;
    },
  };
}
