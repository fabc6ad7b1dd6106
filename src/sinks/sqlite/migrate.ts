/** Brings a database to the newest schema: the migrations in drizzle/, forward only, all in one transaction. */
import { existsSync, readdirSync, renameSync, rmSync, statSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import type Database from 'better-sqlite3';
import { readMigrationFiles } from 'drizzle-orm/migrator';
import { UnusableDatabase } from './errors.ts';

/** The same place from src/sinks/sqlite and from dist/sinks/sqlite. */
export const MIGRATIONS_FOLDER = fileURLToPath(new URL('../../../drizzle', import.meta.url));

/**
 * Applies what is missing; before a migration that takes something away the file is copied. Two processes may do so at a time: the second waits, and finds nothing left to do.
 * @returns names of the migrations applied
 * @throws UnusableDatabase for a database of a newer version, or one of another program
 */
export function migrate(db: Database.Database, folder: string = MIGRATIONS_FOLDER): string[] {
  const migrations = readMigrationFiles({ migrationsFolder: folder });
  const names = readdirSync(folder)
    .filter((name) => name.endsWith('.sql'))
    .toSorted();
  const before = lastApplied(db);
  if (before === migrations.at(-1)?.folderMillis) return [];
  const destructive = migrations.findIndex(
    ({ folderMillis, sql }) =>
      before !== undefined && folderMillis > before && sql.some((text) => DESTRUCTIVE.test(text)),
  );
  if (destructive >= 0) backUp(db, names[destructive] ?? 'migration');
  return db
    .transaction(() => {
      const last = lastApplied(db);
      const newest = migrations.at(-1)?.folderMillis ?? 0;
      if (last === undefined) refuseForeign(db);
      else if (last > newest) {
        throw new UnusableDatabase(
          `${db.name} was written by a newer version of mcp-metrics-gateway; start that version, or restore a backup from before the upgrade`,
        );
      }
      db.exec(
        'CREATE TABLE IF NOT EXISTS __drizzle_migrations (id INTEGER PRIMARY KEY, hash TEXT NOT NULL, created_at NUMERIC)',
      );
      const note = db.prepare('INSERT INTO __drizzle_migrations (hash, created_at) VALUES (?, ?)');
      const applied: string[] = [];
      for (const [index, migration] of migrations.entries()) {
        if (last !== undefined && migration.folderMillis <= last) continue;
        for (const statement of migration.sql) db.exec(statement);
        note.run(migration.hash, migration.folderMillis);
        applied.push(names[index] ?? migration.hash);
      }
      return applied;
    })
    .immediate();
}

/** A statement that takes something away or overwrites it; those that make a table anew are among them. What a trigger will do is not. */
const DESTRUCTIVE =
  /^(?!\s*(?:--[^\n]*\n\s*)*CREATE\s+TRIGGER)[\s\S]*\b(?:DROP\s+(?:TABLE|COLUMN)|DELETE\s+FROM|REPLACE\s+INTO|UPDATE\s+\S+\s+SET)\b/i;

/**
 * Keeps the database as it is beside itself: `metrics.db.before-0007_name`. No copy is ever overwritten; an attempt that is
 * repeated on an unchanged database makes no second one.
 */
function backUp(db: Database.Database, migration: string): void {
  const first = `${db.name}.before-${migration.replace(/\.sql$/, '')}`;
  let target = first;
  for (let number = 2; existsSync(target); number += 1) {
    if (statSync(target).mtimeMs >= changedAt(db.name)) return;
    target = `${first}-${number}`;
  }
  const partial = `${target}.partial`;
  try {
    rmSync(partial, { force: true });
    db.prepare('VACUUM INTO ?').run(partial);
    renameSync(partial, target);
  } catch (error) {
    rmSync(partial, { force: true, recursive: true });
    throw new UnusableDatabase(
      `${db.name} is kept as it is, since the copy that is due before the migration ${migration} cannot be made at ${target}: ${String(error)}; make room there (it takes as much as the database) and start again`,
      { cause: error },
    );
  }
}

const changedAt = (path: string): number =>
  Math.max(...[path, `${path}-wal`].map((file) => statSync(file, { throwIfNoEntry: false })?.mtimeMs ?? 0));

function lastApplied(db: Database.Database): number | undefined {
  const known = db.prepare("SELECT 1 FROM sqlite_schema WHERE name = '__drizzle_migrations'").get();
  if (known === undefined) return undefined;
  const last = db.prepare('SELECT max(created_at) FROM __drizzle_migrations').pluck().get();
  return typeof last === 'number' ? last : undefined;
}

/** A database without our mark must be empty: nothing is ever written into another program's file. */
function refuseForeign(db: Database.Database): void {
  const tables = db.prepare("SELECT name FROM sqlite_schema WHERE type = 'table'").pluck().all() as string[];
  if (tables.length === 0) return;
  const legacy = tables.includes('metrics') && tables.includes('auth_metrics');
  throw new UnusableDatabase(
    legacy
      ? `${db.name} is a database of the metrics service that this gateway replaces; give the gateway another SQLITE_DB_PATH and bring the old data over with: mcp-metrics import ${db.name}`
      : `${db.name} is a database of another program (tables ${tables.slice(0, 5).join(', ')}); give the gateway another SQLITE_DB_PATH`,
  );
}
