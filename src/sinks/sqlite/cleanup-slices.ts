/**
 * Removes rows beyond retention in slices, each a short transaction of its own: between two of them the writer takes
 * waiting batches. Nothing is remembered outside the tables, so a crash in between costs nothing.
 */
import type Database from 'better-sqlite3';

/** How long a slice may hold the writer, roughly: it ends with the row that passes this. */
const SLICE_MS = 8;
/** Rows between two looks at the clock. */
const ROWS_PER_LOOK = 50;
/** Pages that stay free for what comes next; beyond them the file shrinks. */
const SPARE_PAGES = 256;
const PAGES_PER_SLICE = 200;
/** Dictionary rows looked at in one slice. */
const ROWS_PER_SWEEP = 500;

export interface EventSlice {
  /** Deleted events by number of type. */
  readonly deleted: Readonly<Record<number, number>>;
  readonly done: boolean;
  /** Where the next slice goes on, where `done` is false. */
  readonly cursor: number;
}

export interface CleanupSlices {
  /** Deletes events of all types with an earlier timestamp. */
  readonly deleteEvents: (cutoff: number) => EventSlice;
  /** The same for one type; `cursor` is 0 at first. */
  readonly deleteEventsOfType: (type: number, cutoff: number, cursor: number) => EventSlice;
  readonly deleteRollups: (
    table: 'rollup_hourly' | 'rollup_daily',
    cutoff: number,
  ) => { deleted: number; done: boolean };
  /** Dictionary rows without events since `cutoff`: where to go on, and the rows to delete. */
  readonly findUnused: (
    table: DictionaryTable,
    cutoff: number,
    cursor: number,
  ) => { ids: readonly number[]; done: boolean; cursor: number };
  /** Deletes dictionary rows; that caches are void then is the caller's business. */
  readonly deleteRows: (table: DictionaryTable, ids: readonly number[]) => void;
  /** Gives free pages back to the file system. */
  readonly shrink: () => { readonly done: boolean };
}

export type DictionaryTable = 'attribute_sets' | 'clients' | 'resources' | 'shapes' | 'rollup_series';

export function openCleanupSlices(db: Database.Database): CleanupSlices {
  const oldest = db.prepare<[number, number], { id: number; type: number }>(
    'SELECT id, type FROM events WHERE timestamp < ? ORDER BY timestamp LIMIT ?',
  );
  const setsOfType = db
    .prepare<[number, number], number>('SELECT id FROM attribute_sets WHERE id > ? AND type = ? ORDER BY id LIMIT 100')
    .pluck();
  const oldestOfSet = db
    .prepare<[number, number, number], number>(
      'SELECT id FROM events WHERE attribute_set_id = ? AND timestamp < ? ORDER BY timestamp LIMIT ?',
    )
    .pluck();
  const deleteEvent = db.prepare('DELETE FROM events WHERE id = ?');
  const subtract = db.prepare(
    'UPDATE event_counts SET count = count - ?, deleted_before = max(deleted_before, ?) WHERE type = ?',
  );

  const remove = (
    ids: readonly { readonly id: number; readonly type: number }[],
    deleted: Record<number, number>,
  ): void => {
    for (const { id, type } of ids) {
      deleteEvent.run(id);
      deleted[type] = (deleted[type] ?? 0) + 1;
    }
  };
  const account = (deleted: Readonly<Record<number, number>>, cutoff: number): void => {
    for (const [type, count] of Object.entries(deleted)) subtract.run(count, cutoff, Number(type));
  };
  const timer = (): (() => boolean) => {
    const end = performance.now() + SLICE_MS;
    return () => performance.now() < end;
  };

  return {
    deleteEvents: db.transaction((cutoff: number): EventSlice => {
      const hasTime = timer();
      const deleted: Record<number, number> = {};
      let found: { id: number; type: number }[];
      do {
        found = oldest.all(cutoff, ROWS_PER_LOOK);
        remove(found, deleted);
      } while (found.length === ROWS_PER_LOOK && hasTime());
      account(deleted, cutoff);
      return { deleted, done: found.length < ROWS_PER_LOOK, cursor: 0 };
    }).immediate,

    deleteEventsOfType: db.transaction((type: number, cutoff: number, cursor: number): EventSlice => {
      const hasTime = timer();
      const deleted: Record<number, number> = {};
      let at = cursor;
      for (;;) {
        const sets = setsOfType.all(at, type);
        for (const set of sets) {
          let found: number[];
          do {
            found = oldestOfSet.all(set, cutoff, ROWS_PER_LOOK);
            remove(
              found.map((id) => ({ id, type })),
              deleted,
            );
          } while (found.length === ROWS_PER_LOOK && hasTime());
          if (found.length < ROWS_PER_LOOK) at = set;
          if (!hasTime()) {
            account(deleted, cutoff);
            return { deleted, done: false, cursor: at };
          }
        }
        if (sets.length < 100) {
          account(deleted, cutoff);
          return { deleted, done: true, cursor: at };
        }
      }
    }).immediate,

    deleteRollups: (table, cutoff) => {
      const select = db.prepare<[number, number], { bucket: number; series_id: number }>(
        `SELECT bucket, series_id FROM ${table} WHERE bucket < ? LIMIT ?`,
      );
      const deleteRow = db.prepare(`DELETE FROM ${table} WHERE bucket = ? AND series_id = ?`);
      return db
        .transaction(() => {
          const hasTime = timer();
          let deleted = 0;
          let found: { bucket: number; series_id: number }[];
          do {
            found = select.all(cutoff, ROWS_PER_LOOK);
            for (const { bucket, series_id: series } of found) deleteRow.run(bucket, series);
            deleted += found.length;
          } while (found.length === ROWS_PER_LOOK && hasTime());
          return { deleted, done: found.length < ROWS_PER_LOOK };
        })
        .immediate();
    },

    findUnused: (table, cutoff, cursor) => {
      const rows = db
        .prepare<[number], { id: number; last_seen: number }>(
          `SELECT id, last_seen FROM ${table} WHERE id > ? ORDER BY id LIMIT ${ROWS_PER_SWEEP}`,
        )
        .all(cursor);
      return {
        ids: rows.filter((row) => row.last_seen < cutoff).map(({ id }) => id),
        done: rows.length < ROWS_PER_SWEEP,
        cursor: rows.at(-1)?.id ?? cursor,
      };
    },

    deleteRows: (table, ids) => {
      const deleteRow = db.prepare(`DELETE FROM ${table} WHERE id = ?`);
      for (const id of ids) deleteRow.run(id);
    },

    shrink: () => {
      const free = db.pragma('freelist_count', { simple: true }) as number;
      const pages = Math.min(PAGES_PER_SLICE, free - SPARE_PAGES);
      if (pages <= 0) return { done: true };
      db.pragma(`incremental_vacuum(${pages})`);
      const left = db.pragma('freelist_count', { simple: true }) as number;
      return { done: left <= SPARE_PAGES || left >= free };
    },
  };
}
