/** What the reader's thread does on request. It opens the database for reading only. */
import type Database from 'better-sqlite3';
import { openForReading } from './open-for-reading.ts';
import { guardFile } from './database-file.ts';
import type { QueryName, QueryParameters } from './query-names.ts';
import { filledDays, rebuildDay, type RebuiltDay } from './rebuild-day.ts';
import type { Cutoffs, RetentionPolicy } from './retention-policies.ts';
import { readPolicies } from './retention-table.ts';
import type { RollupCaps } from './rollup-writer.ts';
import { type AnswerForm, runQuery, writeAnswer, type WrittenAnswer } from './run-query.ts';
import { databaseSize, eventStats, type EventStats, type Ranges, rowsBefore } from './table-stats.ts';

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
    policies: (): RetentionPolicy[] => readPolicies(use()),
    eventStats: (): EventStats => eventStats(use()),
    rowsBefore: (cutoffs: Cutoffs): Ranges => rowsBefore(use(), cutoffs),
    size: () => databaseSize(use(), path),
    query: (
      name: QueryName,
      parameters: QueryParameters,
      context: { readonly now: number; readonly policies: readonly RetentionPolicy[] },
      form: AnswerForm,
    ): WrittenAnswer => writeAnswer(runQuery(name, parameters, { db: use(), path, ...context }), form),
    rebuildDay: (day: number, from: number, caps: RollupCaps): RebuiltDay => rebuildDay(use(), day, from, caps),
    filledDays: (from: number): number[] => filledDays(use(), from),
    close: (): void => {
      open?.db.close();
      open = undefined;
    },
  };
}
