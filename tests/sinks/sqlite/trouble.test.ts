/** What happens to the database file from outside: nothing acknowledged may be lost by it. */
import { copyFileSync, existsSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import Database from 'better-sqlite3';
import t, { type Test } from 'tap';
import type { JsonBody } from '../../../src/core/json-events.ts';
import { Rewind } from '../../../src/core/sink.ts';
import { openKeyStore } from '../../../src/sinks/sqlite/key-store.ts';
import { UnusableDatabase } from '../../../src/sinks/sqlite/errors.ts';
import { sqlite } from '../../../src/sinks/sqlite/sqlite.ts';
import { openStore } from '../../../src/sinks/sqlite/store.ts';
import { createTelemetry } from '../../../src/telemetry/telemetry.ts';
import { batchOf, JOURNAL_ID, memoryLog, query, recorder, settableClock } from './harness.ts';
import { folderOf } from '../../support/folder.ts';

const body = (value: number): JsonBody => ({
  service: 's',
  metrics: [{ type: 'custom', value, dimensions: { metric_name: 'm' } }],
});

const open = async (t: Test) => {
  const path = join(folderOf(t), 'metrics.db');
  const log = memoryLog();
  const store = await openStore(path, { log });
  t.teardown(() => store.close());
  const values = (): number[] =>
    query<{ value: number }>(path, 'SELECT value FROM metrics ORDER BY id').map((row) => row.value);
  return { path, store, log, values };
};

t.test('a deleted database is written back whole', async (t) => {
  const { path, store, log, values } = await open(t);
  const { record, end } = recorder();
  await store.write([record(body(1))], end());
  for (const suffix of ['', '-wal', '-shm']) rmSync(path + suffix);
  await store.write([record(body(2))], end());
  t.strictSame(values(), [1, 2]);
  t.match(
    log.lines.filter(({ level }) => level === 'warn'),
    [{ message: /was deleted while in use/ }],
  );
  await store.write([record(body(3))], end());
  t.strictSame(values(), [1, 2, 3]);
  // Its thread takes longer to start than the writer to look after the file by itself.
  await store.retention.stats();
  for (const suffix of ['', '-wal', '-shm']) rmSync(path + suffix);
  t.equal((await store.retention.stats()).metrics.record_count, 3, 'also when it is only asked');
  t.strictSame(values(), [1, 2, 3]);
});

t.test('a database moved away is written back beside it', async (t) => {
  const { path, store, values } = await open(t);
  const { record, end } = recorder();
  await store.write([record(body(1))], end());
  renameSync(path, `${path}.moved`);
  await store.write([record(body(2))], end());
  t.strictSame(values(), [1, 2]);
});

t.test('a deleted write-ahead log loses nothing', async (t) => {
  const { path, store, values } = await open(t);
  const { record, end } = recorder();
  await store.write([record(body(1))], end());
  rmSync(`${path}-wal`);
  await store.write([record(body(2))], end());
  t.strictSame(values(), [1, 2]);
  t.ok(existsSync(`${path}-wal`));
});

t.test('a replaced database sends the delivery back to its checkpoint', async (t) => {
  const { path, store, values } = await open(t);
  const { record, end } = recorder();
  const records = [record(body(1))];
  await store.write(records, end());
  const checkpoint = end();
  const db = new Database(path);
  db.pragma('wal_checkpoint(TRUNCATE)');
  db.close();
  copyFileSync(path, `${path}.backup`);
  records.push(record(body(2)));
  await store.write(records, end());
  renameSync(`${path}.backup`, path);
  records.push(record(body(3)));
  const error: unknown = await store.write(records.slice(2), end()).catch((caught: unknown) => caught);
  t.type(error, Rewind);
  t.strictSame((error as Rewind).checkpoint, checkpoint);
  await store.write(records.slice(1), end());
  t.strictSame(values(), [1, 2, 3]);
});

t.test('while another process holds the lock, writes fail as an outage; then the same batch goes in', async (t) => {
  const { path, store, values } = await open(t);
  const { record, end } = recorder();
  const other = new Database(path);
  t.teardown(() => other.close());
  other.exec('BEGIN IMMEDIATE');
  const first = record(body(1));
  await t.rejects(store.write([first], end()), { name: 'Error', code: 'SQLITE_BUSY' });
  other.exec('COMMIT');
  await store.write([first], end());
  t.strictSame(values(), [1]);
});

t.test('a sink says in its health what is wrong, and when it is over', async (t) => {
  const dataDirectory = folderOf(t);
  const log = memoryLog();
  const sink = sqlite();
  const context = { log, clock: settableClock(0), dataDirectory, telemetry: createTelemetry() };
  await sink.start?.(context);
  t.teardown(() => sink.stop?.());
  t.strictSame(sink.health?.(), { healthy: true });
  const { record } = recorder();
  const batch = batchOf([record(body(1))]);
  const other = new Database(join(dataDirectory, 'metrics.db'));
  t.teardown(() => other.close());
  other.exec('BEGIN IMMEDIATE');
  const { signal } = new AbortController();
  await t.rejects(sink.write(batch, signal), /locked/);
  t.match(sink.health?.(), { healthy: false, detail: /locked/ });
  other.exec('COMMIT');
  await sink.write(batch, signal);
  t.strictSame(sink.health?.(), { healthy: true });
  t.strictSame(await sink.checkpoint?.(), { journalId: JOURNAL_ID, sequence: 1, count: 1 });
});

t.test('an aborted write rejects at once; coming again it counts once', async (t) => {
  const dataDirectory = folderOf(t);
  const sink = sqlite();
  await sink.start?.({ log: memoryLog(), clock: settableClock(0), dataDirectory, telemetry: createTelemetry() });
  t.teardown(() => sink.stop?.());
  const { record } = recorder();
  const batch = batchOf([record(body(1))]);
  const abort = new AbortController();
  const writing = sink.write(batch, abort.signal);
  abort.abort(new Error('enough'));
  await t.rejects(writing, /enough/);
  await sink.write(batch, new AbortController().signal);
  t.strictSame(query(join(dataDirectory, 'metrics.db'), 'SELECT count(*) AS n FROM metrics'), [{ n: 1 }]);
});

t.test('sink and keys share one file; the last to close it does', async (t) => {
  const dataDirectory = folderOf(t);
  const path = join(dataDirectory, 'metrics.db');
  const log = memoryLog();
  const clock = settableClock(0);
  const sink = sqlite({ path });
  const keys = await openKeyStore({ path, log, clock });
  await sink.start?.({ log, clock, dataDirectory, telemetry: createTelemetry() });
  await sink.stop?.();
  await keys.create({ service: 's', scopes: ['ingest'] });
  await sink.stop?.();
  await keys.close();
  await keys.close();
  t.notOk(existsSync(`${path}-wal`), 'closing took the log into the database');
});

t.test('another program’s database is refused, and left as it is', async (t) => {
  const dataDirectory = folderOf(t);
  const path = join(dataDirectory, 'other.db');
  const other = new Database(path);
  other.exec('CREATE TABLE things (id INTEGER)');
  other.close();
  const error: unknown = await openStore(path, { log: memoryLog() }).catch((caught: unknown) => caught);
  t.type(error, UnusableDatabase);
  t.match(String(error), /another program \(tables things\)/);
  t.strictSame(query(path, 'SELECT name FROM sqlite_schema'), [{ name: 'things' }]);

  const legacy = join(dataDirectory, 'legacy.db');
  const old = new Database(legacy);
  old.exec('CREATE TABLE metrics (id INTEGER); CREATE TABLE auth_metrics (id INTEGER)');
  old.close();
  await t.rejects(openStore(legacy, { log: memoryLog() }), /mcp-metrics import/);
});

t.test('a database of a newer version is refused', async (t) => {
  const path = join(folderOf(t), 'metrics.db');
  await (await openStore(path, { log: memoryLog() })).close();
  const db = new Database(path);
  db.exec("INSERT INTO __drizzle_migrations (hash, created_at) VALUES ('x', 9999999999999)");
  db.close();
  await t.rejects(openStore(path, { log: memoryLog() }), { name: 'UnusableDatabase', message: /newer version/ });
});
