/** Opens the gateway's database file with the settings that every connection of ours needs. */
import { dirname, resolve } from 'node:path';
import Database from 'better-sqlite3';
import { makeFolders } from '../../core/files.ts';
import { migrate } from './migrate.ts';

/** How long a statement waits for another process's lock before it is an outage. */
const BUSY_TIMEOUT_MS = 1000;

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
    db.pragma('cache_size = -65536');
    // Deleted user hashes and texts are overwritten where their page is written anyway.
    db.pragma('secure_delete = FAST');
    db.pragma('wal_autocheckpoint = 4000');
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

/** Opens for reading only; the file must be there and migrated. */
export function openForReading(path: string): Database.Database {
  const db = new Database(path, { readonly: true, fileMustExist: true, timeout: BUSY_TIMEOUT_MS });
  db.pragma('cache_size = -16384');
  db.pragma('temp_store = MEMORY');
  return db;
}
