/** What is to be said of a database file without touching it: is it whole, is it ours, does it know a key? */
import { existsSync, statSync } from 'node:fs';
import Database from 'better-sqlite3';
import { readMigrationFiles } from 'drizzle-orm/migrator';
import { MIGRATIONS_FOLDER } from './migrate.ts';

export interface DatabaseDiagnosis {
  readonly exists: boolean;
  /** What SQLite finds wrong, empty for a sound file; at most 10 lines. */
  readonly faults: readonly string[];
  /** Why nothing can be said of the content, which may well be sound. */
  readonly unread?: { readonly because: 'locked' | 'unreadable'; readonly message: string };
  /** False for another program's file, the replaced service's included. */
  readonly ours: boolean;
  /** Tables of the metrics service that this gateway replaces. */
  readonly legacy: boolean;
  /** Migrations that the next start applies; negative where the file is of a newer version. */
  readonly pendingMigrations: number;
  readonly liveKeys: number;
  /** Milliseconds since the Unix epoch; when the newest event came in. */
  readonly newestEventAt: number | undefined;
}

const NOTHING = { ours: true, legacy: false, pendingMigrations: 0, liveKeys: 0, newestEventAt: undefined } as const;

/** Reads only; a gateway may be running on the same file. */
export function diagnoseDatabase(path: string, now: number): DatabaseDiagnosis {
  if (!existsSync(path)) return { ...NOTHING, exists: false, faults: [] };
  if (!statSync(path).isFile())
    return { ...NOTHING, exists: true, faults: [], unread: { because: 'unreadable', message: 'it is not a file' } };
  let db: Database.Database;
  try {
    db = new Database(path, { readonly: true, timeout: 2000 });
  } catch (error) {
    return { ...NOTHING, exists: true, ...failureOf(error) };
  }
  try {
    const faults = (db.pragma('quick_check(10)') as { quick_check: string }[])
      .map((row) => row.quick_check)
      .filter((line) => line !== 'ok');
    const tables = new Set(
      db.prepare("SELECT name FROM sqlite_schema WHERE type IN ('table', 'view')").pluck().all() as string[],
    );
    if (!tables.has('__drizzle_migrations')) {
      return {
        ...NOTHING,
        exists: true,
        faults,
        ours: tables.size === 0,
        legacy: tables.has('metrics') && tables.has('auth_metrics'),
      };
    }
    const applied = db.prepare('SELECT max(created_at) FROM __drizzle_migrations').pluck().get() as number;
    const known = readMigrationFiles({ migrationsFolder: MIGRATIONS_FOLDER }).map(({ folderMillis }) => folderMillis);
    const live = db.prepare(
      'SELECT count(*) FROM api_keys WHERE revoked_at IS NULL AND (expires_at IS NULL OR expires_at > ?)',
    );
    return {
      exists: true,
      faults,
      ours: true,
      legacy: false,
      pendingMigrations: applied > Math.max(...known) ? -1 : known.filter((at) => at > applied).length,
      liveKeys: live.pluck().get(now) as number,
      newestEventAt:
        (db.prepare('SELECT timestamp FROM metrics ORDER BY id DESC LIMIT 1').pluck().get() as
          number | null | undefined) ?? undefined,
    };
  } catch (error) {
    return { ...NOTHING, exists: true, ...failureOf(error) };
  } finally {
    db.close();
  }
}

/** Only what SQLite says of the content is damage: a lock or a missing right is none. */
function failureOf(error: unknown): Pick<DatabaseDiagnosis, 'faults' | 'unread'> {
  const { message = String(error), code = '' } = error as { message?: string; code?: string };
  if (/^SQLITE_(BUSY|LOCKED)/.test(code)) return { faults: [], unread: { because: 'locked', message } };
  if (/^SQLITE_(CANTOPEN|PERM|READONLY|AUTH)/.test(code))
    return { faults: [], unread: { because: 'unreadable', message } };
  return { faults: [message] };
}
