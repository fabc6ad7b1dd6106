/**
 * Notices when the database file was deleted, moved or replaced under the running gateway, before anything is written
 * that would be acknowledged and then lost with an unlinked file.
 */
import { renameSync, rmSync, statSync } from 'node:fs';
import type Database from 'better-sqlite3';

/** `gone`: nothing lies at the path; `replaced`: another file does; `wal-gone`: its write-ahead log was removed. */
export type FileState = 'same' | 'gone' | 'replaced' | 'wal-gone';

export interface FileGuard {
  /** A few microseconds; call before each transaction. */
  readonly check: () => FileState;
  /**
   * Removes the log of a database that was replaced, once its connection is closed: SQLite leaves it there, and would
   * take it for the new file's. A log that came with the new file stays.
   */
  readonly discardLog: () => void;
}

/** @param path of a database that was just opened and has been read, so that its files are there */
export function guardFile(path: string): FileGuard {
  const file = identity(path);
  let wal = identity(`${path}-wal`);
  return {
    check: () => {
      const now = identity(path);
      if (now !== file) return now === undefined ? 'gone' : 'replaced';
      const walNow = identity(`${path}-wal`);
      if (wal === undefined) wal = walNow;
      return walNow === wal ? 'same' : 'wal-gone';
    },
    discardLog: () => {
      if (wal === undefined || identity(`${path}-wal`) !== wal) return;
      for (const suffix of ['-wal', '-shm']) rmSync(path + suffix, { force: true });
    },
  };
}

const identity = (path: string): string | undefined => {
  const stat = statSync(path, { throwIfNoEntry: false });
  return stat === undefined ? undefined : `${stat.dev}:${stat.ino}`;
};

/**
 * Writes a deleted database back from the open connection, which still sees the unlinked file whole, and closes that.
 * The file at `path` is there afterwards, or an error says why not and nothing has changed.
 */
export function restoreFile(db: Database.Database, path: string): void {
  const temporary = `${path}.restoring`;
  rmSync(temporary, { force: true });
  db.prepare('VACUUM INTO ?').run(temporary);
  db.close();
  // What is left of the deleted database must never be taken for the restored one's log.
  for (const suffix of ['-wal', '-shm']) rmSync(path + suffix, { force: true });
  renameSync(temporary, path);
}
