/** Opens the gateway's database file for writing, with the settings that every such connection of ours needs. */
import { dirname, resolve } from 'node:path';
import Database from 'better-sqlite3';
import { makeFolders } from '../../core/files.ts';
import { migrate } from './migrate.ts';
import { BUSY_TIMEOUT_MS } from './open-for-reading.ts';

/** Pages that the write-ahead log may hold before a commit takes them into the database file: many at once cost least. */
export const LOG_PAGES = 4000;
/** The same while long work runs in slices: many at once keep the disk busy for some 40 ms, for which whatever writes waits. */
export const SHORT_LOG_PAGES = 500;

export const limitLog = (db: Database.Database, pages: number): unknown => db.pragma(`wal_autocheckpoint = ${pages}`);

/** Opens for writing: makes the file and its folder where they are missing, and applies the migrations. */
export function openForWriting(path: string): { db: Database.Database; migrations: string[] } {
  makeFolders(dirname(resolve(path)));
  const db = new Database(path, { timeout: BUSY_TIMEOUT_MS });
  try {
    // Takes effect before the first page is written alone, and afterwards would still ask for the lock that another may hold.
    if (db.pragma('page_count', { simple: true }) === 0) db.pragma('auto_vacuum = INCREMENTAL');
    db.pragma('journal_mode = WAL');
    // FULL: once a checkpoint is committed its journal segment may go, so the commit must survive a power loss.
    db.pragma('synchronous = FULL');
    db.pragma('cache_size = -49152');
    // Deleted user hashes and texts are overwritten where their page is written anyway.
    db.pragma('secure_delete = FAST');
    limitLog(db, LOG_PAGES);
    db.pragma('journal_size_limit = 67108864');
    db.pragma('temp_store = MEMORY');
    return { db, migrations: migrate(db) };
  } catch (error) {
    db.close();
    throw error;
  }
}

/**
 * Applies what is missing and closes again.
 * @returns names of the migrations applied
 */
export function migrateDatabase(path: string): string[] {
  const { db, migrations } = openForWriting(path);
  db.close();
  return migrations;
}
