/** Migrations: all or none, once, and by two processes at a time if need be. */
import {
  copyFileSync,
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import Database from 'better-sqlite3';
import t from 'tap';
import { openForWriting } from '../../../src/sinks/sqlite/database.ts';
import { migrate, MIGRATIONS_FOLDER } from '../../../src/sinks/sqlite/migrate.ts';
import { openStore } from '../../../src/sinks/sqlite/store.ts';
import { memoryLog, query, recordedBodies, recorder } from './harness.ts';
import { folderOf } from '../../support/folder.ts';

const schemaOf = (path: string): unknown[] =>
  query(path, "SELECT type, name, sql FROM sqlite_schema WHERE name NOT LIKE 'sqlite_%' ORDER BY name");

/** The project's migrations with one more, as a later release would bring it. */
function withOneMore(directory: string, sql: string): string {
  const folder = join(directory, 'drizzle');
  cpSync(MIGRATIONS_FOLDER, folder, { recursive: true });
  const path = join(folder, 'meta', '_journal.json');
  const journal = JSON.parse(readFileSync(path, 'utf8')) as { entries: { idx: number; when: number; tag: string }[] };
  const last = journal.entries.at(-1)!;
  journal.entries.push({ ...last, idx: last.idx + 1, when: last.when + 1, tag: '9999_later' });
  writeFileSync(path, JSON.stringify(journal));
  writeFileSync(join(folder, '9999_later.sql'), sql);
  return folder;
}

t.test('a new database gets every migration, the second start none', async (t) => {
  const path = join(folderOf(t), 'metrics.db');
  const first = openForWriting(path);
  t.strictSame(
    first.migrations,
    readdirSync(MIGRATIONS_FOLDER).filter((name) => name.endsWith('.sql')),
  );
  t.equal(first.db.pragma('auto_vacuum', { simple: true }), 2, 'pages can be given back');
  first.db.close();
  const second = openForWriting(path);
  t.strictSame(second.migrations, []);
  second.db.close();
});

t.test('a later release changes the database with its data in it', async (t) => {
  const directory = folderOf(t);
  const path = join(directory, 'metrics.db');
  const store = await openStore(path, { log: memoryLog() });
  const { record, end } = recorder();
  await store.write(
    recordedBodies().map((body) => record(body)),
    end(),
  );
  await store.close();
  const before = query(path, 'SELECT * FROM metrics');
  const folder = withOneMore(
    directory,
    'ALTER TABLE events ADD COLUMN later TEXT;\n--> statement-breakpoint\nCREATE INDEX later_index ON events (later);',
  );
  const db = new Database(path);
  t.strictSame(migrate(db, folder), ['9999_later.sql']);
  t.strictSame(migrate(db, folder), []);
  db.close();
  t.strictSame(query(path, 'SELECT * FROM metrics'), before);
});

t.test('a migration that fails leaves nothing of itself', async (t) => {
  const directory = folderOf(t);
  const path = join(directory, 'metrics.db');
  openForWriting(path).db.close();
  const before = schemaOf(path);
  const folder = withOneMore(
    directory,
    'CREATE TABLE half (id INTEGER);\n--> statement-breakpoint\nCREATE TABLE half (id INTEGER);',
  );
  const db = new Database(path);
  t.throws(() => migrate(db, folder), /already exists/);
  db.close();
  t.strictSame(schemaOf(path), before);
});

t.test('before something is taken away, the database is copied', async (t) => {
  const directory = folderOf(t);
  const path = join(directory, 'metrics.db');
  openForWriting(path).db.close();
  copyFileSync(path, `${path}.old`);
  const folder = withOneMore(directory, 'DROP TABLE import_anchors;');
  const upgrade = (file: string): void => {
    const db = new Database(file);
    try {
      migrate(db, folder);
    } finally {
      db.close();
    }
  };
  upgrade(path);
  t.strictSame(query(path, "SELECT name FROM sqlite_schema WHERE name = 'import_anchors'"), []);
  const copy = `${path}.before-9999_later`;
  t.strictSame(query(copy, 'SELECT count(*) AS n FROM import_anchors'), [{ n: 0 }]);

  // The old release was put back, went on, and is upgraded once more: the first copy does not hold what came meanwhile.
  copyFileSync(`${path}.old`, path);
  const db = new Database(path);
  db.exec("INSERT INTO import_anchors (lineage, source_table, source_id, digest) VALUES (1, 'metrics', 1, 'x')");
  db.close();
  utimesSync(path, new Date(), new Date(Date.now() + 60_000));
  upgrade(path);
  t.strictSame(query(copy, 'SELECT count(*) AS n FROM import_anchors'), [{ n: 0 }], 'no copy is overwritten');
  t.strictSame(query(`${copy}-2`, 'SELECT count(*) AS n FROM import_anchors'), [{ n: 1 }]);

  const fresh = join(directory, 'fresh.db');
  upgrade(fresh);
  t.notOk(existsSync(`${fresh}.before-9999_later`), 'a new database has nothing to lose');
});

t.test('which migrations a copy is made before', async (t) => {
  const copied = (sql: string): boolean => {
    const directory = folderOf(t);
    const path = join(directory, 'metrics.db');
    openForWriting(path).db.close();
    const db = new Database(path);
    migrate(db, withOneMore(directory, sql));
    db.close();
    return existsSync(`${path}.before-9999_later`);
  };
  for (const [sql, wanted] of [
    ['ALTER TABLE event_counts DROP COLUMN deleted_before;', true],
    ['UPDATE retention_policies SET retention_days = 1;', true],
    ['DELETE FROM `import_anchors`;', true],
    ['REPLACE INTO event_counts (type, count) VALUES (1, 0);', true],
    ['CREATE TABLE more (id INTEGER);\n--> statement-breakpoint\nDROP TABLE clients;', true],
    [
      '-- Later ones.\nCREATE TRIGGER later AFTER INSERT ON clients BEGIN DELETE FROM clients WHERE id = 0; END;',
      false,
    ],
    ['ALTER TABLE clients ADD COLUMN later TEXT;', false],
    ['DROP VIEW metrics_daily;', false],
  ] as const) {
    t.equal(copied(sql), wanted, sql);
  }
});

t.test('without room for that copy nothing is changed, and the message says what to do', async (t) => {
  const directory = folderOf(t);
  const path = join(directory, 'metrics.db');
  openForWriting(path).db.close();
  const before = schemaOf(path);
  mkdirSync(`${path}.before-9999_later.partial/in the way`, { recursive: true });
  const db = new Database(path);
  t.throws(() => migrate(db, withOneMore(directory, 'DROP TABLE import_anchors;')), {
    name: 'UnusableDatabase',
    message: /the copy that is due before the migration 9999_later.sql cannot be made .*make room/,
  });
  db.close();
  t.strictSame(schemaOf(path), before);
});

t.test('two processes that start on a new file at once both find it ready', async (t) => {
  const path = join(folderOf(t), 'metrics.db');
  const first = new Database(path, { timeout: 5000 });
  const second = new Database(path, { timeout: 5000 });
  t.teardown(() => {
    first.close();
    second.close();
  });
  // Both have looked and found nothing applied; the one that comes second looks again inside its transaction.
  t.ok(migrate(first).length > 0);
  t.strictSame(migrate(second), []);
});

t.test('a copy from before an upgrade is taken up to date again', async (t) => {
  const directory = folderOf(t);
  const path = join(directory, 'metrics.db');
  openForWriting(path).db.close();
  copyFileSync(path, `${path}.old`);
  const folder = withOneMore(directory, 'CREATE TABLE later (id INTEGER);');
  const db = new Database(path);
  migrate(db, folder);
  t.throws(() => migrate(db), { name: 'UnusableDatabase', message: /newer version/ }, 'the older release refuses it');
  db.close();
  const old = new Database(`${path}.old`);
  t.strictSame(migrate(old, folder), ['9999_later.sql']);
  old.close();
});
