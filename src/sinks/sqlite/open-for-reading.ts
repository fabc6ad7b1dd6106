/** Opens the gateway's database file for reading only: apart from what writes, so that a reader's thread loads no migrations. */
import Database from 'better-sqlite3';

/** How long a statement waits for another process's lock before it is an outage. */
export const BUSY_TIMEOUT_MS = 1000;

/** @param path of a file that is there and migrated */
export function openForReading(path: string): Database.Database {
  const db = new Database(path, { readonly: true, fileMustExist: true, timeout: BUSY_TIMEOUT_MS });
  db.pragma('cache_size = -16384');
  db.pragma('temp_store = MEMORY');
  return db;
}
