/** Rows go when their policy says so: not a millisecond earlier, from all views together, and without a trace. */
import { readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import Database from 'better-sqlite3';
import t, { type Test } from 'tap';
import type { JsonMetric } from '../../../src/core/json-events.ts';
import { openStore } from '../../../src/sinks/sqlite/store.ts';
import { eventually, memoryLog, query, recorder } from './harness.ts';
import { folderOf } from '../../support/folder.ts';

const DAY = 86_400_000;
const NOW = Date.UTC(2026, 10, 22, 12);

const open = async (t: Test, path = join(folderOf(t), 'metrics.db')) => {
  const store = await openStore(path, { log: memoryLog() });
  t.teardown(() => store.close());
  await store.retention.applyDefaults(90, NOW);
  const { record, end } = recorder();
  const write = (metrics: JsonMetric[]): Promise<void> =>
    store.write([record({ service: 'auth-server', metrics }, { receivedAt: NOW })], end());
  const count = (view: string): unknown => query(path, `SELECT count(*) AS n FROM ${view}`)[0]?.['n'];
  return { store, path, write, count };
};

const metric = (type: JsonMetric['type'], timestamp: number, dimensions: Record<string, string> = {}): JsonMetric => ({
  type,
  value: 1,
  timestamp: new Date(timestamp).toISOString(),
  dimensions,
});

t.test('the policies at first, and after another start', async (t) => {
  const { store, path } = await open(t);
  t.strictSame(
    (await store.retention.policies()).map(({ table, retentionDays, isActive }) => [table, retentionDays, isActive]),
    [
      ['metrics', 90, true],
      ['auth_metrics', 90, true],
      ['tool_metrics', 90, true],
      ['discovery_metrics', 90, true],
      ['protocol_metrics', 90, true],
      ['metrics_hourly', 365, true],
      ['metrics_daily', 1095, true],
    ],
  );
  t.strictSame(await store.retention.update('tool_metrics', { retentionDays: 7 }, NOW), {
    table: 'tool_metrics',
    retentionDays: 7,
    isActive: true,
  });
  await store.retention.update('auth_metrics', { isActive: false }, NOW);
  await store.close();

  const again = await openStore(path, { log: memoryLog() });
  t.teardown(() => again.close());
  await again.retention.applyDefaults(30, NOW);
  const policies = new Map((await again.retention.policies()).map((policy) => [policy.table, policy]));
  t.match(policies.get('metrics'), { retentionDays: 30, isActive: true }, 'follows the environment');
  t.match(policies.get('tool_metrics'), { retentionDays: 7, isActive: true }, 'an operator’s days stay');
  t.match(policies.get('auth_metrics'), { retentionDays: 30, isActive: false }, 'a disabled policy stays disabled');
  t.match(policies.get('metrics_daily'), { retentionDays: 1095 });
  for (const retentionDays of [0, -1, 1.5, 3651, Number.NaN]) {
    await t.rejects(again.retention.update('metrics', { retentionDays }, NOW), { name: 'InvalidPolicy' });
  }
  t.equal(again.retention.keptDays('tool_execution'), 7);
  t.equal(again.retention.keptDays('auth_request'), 30);
  t.equal(again.retention.keptDays('custom'), 30);
  await again.retention.update('metrics', { isActive: false }, NOW);
  t.equal(again.retention.keptDays('auth_request'), Number.POSITIVE_INFINITY);
});

t.test('a policy changed by another process is known here within a second', async (t) => {
  const { store, path } = await open(t);
  const other = new Database(path);
  other.exec("UPDATE retention_policies SET retention_days = 12 WHERE table_name = 'metrics'");
  other.close();
  await eventually(() => store.retention.keptDays('custom') === 12, 'the policy', 1000);
  t.equal(store.retention.keptDays('custom'), 12);
});

t.test('cleanup takes what is older to the millisecond, as preview said, and from both views', async (t) => {
  const { store, write, count, path } = await open(t);
  const edge = NOW - 90 * DAY;
  await write([
    metric('auth_request', edge - 1),
    metric('auth_request', edge),
    metric('tool_execution', edge - 5 * DAY),
    metric('custom', edge - 1000, { metric_name: 'm' }),
    metric('protocol_latency', NOW),
  ]);
  const preview = await store.retention.preview(NOW);
  t.match(preview.metrics, {
    retention_days: 90,
    records_to_delete: 3,
    total_records: 5,
    percentage_to_delete: 60,
    oldest_record_to_delete: new Date(edge - 5 * DAY).toISOString(),
    newest_record_to_delete: new Date(edge - 1).toISOString(),
    cutoff_date: new Date(edge).toISOString(),
  });
  t.match(preview.auth_metrics, { records_to_delete: 1, total_records: 2, percentage_to_delete: 50 });
  t.match(preview.protocol_metrics, { records_to_delete: 0, oldest_record_to_delete: null });
  t.strictSame(Object.keys(await store.retention.preview(NOW, 'tool_metrics')), ['tool_metrics']);

  const dry = await store.retention.cleanup({ now: NOW, dryRun: true });
  t.equal(dry.totalDeleted, 0);
  t.match(dry.tables[0], { table: 'metrics', records_to_delete: 3, records_deleted: 0, dry_run: true });
  t.equal(count('metrics'), 5);

  const report = await store.retention.cleanup({ now: NOW });
  t.equal(report.totalDeleted, 3);
  t.match(report.tables, [
    { table: 'metrics', status: 'completed', records_deleted: 3, retention_days: 90 },
    { table: 'auth_metrics', records_deleted: 1 },
    { table: 'tool_metrics', records_deleted: 1 },
    { table: 'discovery_metrics', records_deleted: 0 },
    { table: 'protocol_metrics', records_deleted: 0 },
    { table: 'metrics_hourly', records_deleted: 0 },
    { table: 'metrics_daily', records_deleted: 0 },
  ]);
  t.strictSame(query(path, 'SELECT timestamp FROM metrics ORDER BY id'), [{ timestamp: edge }, { timestamp: NOW }]);
  t.equal(count('tool_metrics'), 0);
  const stats = await store.retention.stats();
  t.match(stats.metrics, {
    record_count: 2,
    oldest_record: new Date(edge).toISOString(),
    newest_record: new Date(NOW).toISOString(),
    has_retention_policy: true,
    retention_days: 90,
    policy_active: true,
  });
  t.match(stats.tool_metrics, { record_count: 0, oldest_record: null });
});

t.test('a row that two tables show goes at the shorter of their active policies', async (t) => {
  const { store, write, count } = await open(t);
  await store.retention.update('tool_metrics', { retentionDays: 10 }, NOW);
  await store.retention.update('auth_metrics', { retentionDays: 200 }, NOW);
  const at = (days: number): number => NOW - days * DAY;
  await write([
    metric('tool_execution', at(11)),
    metric('tool_execution', at(9)),
    metric('auth_request', at(91)),
    metric('auth_request', at(89)),
    metric('custom', at(50), { metric_name: 'm' }),
  ]);
  const preview = await store.retention.preview(NOW);
  t.equal(preview.tool_metrics?.records_to_delete, 1);
  t.equal(preview.metrics?.records_to_delete, 2);
  const report = await store.retention.cleanup({ now: NOW, table: 'tool_metrics' });
  t.match(report.tables, [{ table: 'tool_metrics', records_deleted: 1 }]);
  t.equal(count('metrics'), 4, 'one table alone');
  await store.retention.update('metrics', { isActive: false }, NOW);
  await store.retention.cleanup({ now: NOW });
  t.equal(count('auth_metrics'), 2, 'kept by its own 200 days');
  t.equal(count('metrics'), 4, 'no active policy: for ever');
  await store.retention.update('metrics', { isActive: true }, NOW);
  await store.retention.cleanup({ now: NOW });
  t.equal(count('auth_metrics'), 1);
  t.equal(count('metrics'), 3);
});

t.test('rollups go by their own policies, as whole hours and days', async (t) => {
  const { store, write, count } = await open(t);
  await write([metric('custom', NOW - 370 * DAY, { metric_name: 'm' }), metric('custom', NOW, { metric_name: 'm' })]);
  await store.retention.cleanup({ now: NOW });
  t.equal(count('metrics'), 1);
  t.equal(count('metrics_hourly'), 1);
  t.equal(count('metrics_daily'), 2);
  await store.retention.cleanup({ now: NOW + 800 * DAY });
  t.equal(count('metrics_daily'), 1);
});

t.test('what is deleted leaves nothing behind: hashes, texts, unbounded labels', async (t) => {
  const { store, write, path, count } = await open(t);
  const old = NOW - 100 * DAY;
  const secrets = { user_hash: 'hash-of-somebody', session_key: 'session-of-somebody', query: 'what somebody asked' };
  await write([
    { ...metric('auth_request', old, { user_hash: secrets.user_hash }), metadata: { note: 'metadata-of-somebody' } },
    metric('protocol_latency', old, { session_key: secrets.session_key, server_name: 'u'.repeat(150) }),
    metric('tool_discovery', old, { query: secrets.query }),
    metric('auth_request', NOW),
  ]);
  const dictionaries = ['attribute_sets', 'clients', 'resources', 'shapes'];
  const before = dictionaries.map(count);
  await store.retention.cleanup({ now: NOW });
  t.strictSame(before, [3, 0, 1, 4], 'both auth requests have the same labels, and shapes of their own');
  t.strictSame(dictionaries.map(count), [1, 0, 1, 1], 'dictionary rows that nothing uses go as well');
  await store.close();
  const file = readFileSync(path).toString('latin1');
  for (const text of [...Object.values(secrets), 'metadata-of-somebody']) t.notOk(file.includes(text), text);
});

t.test('space is given back, and writing goes on meanwhile', async (t) => {
  const { store, write, path, count } = await open(t);
  for (let batch = 0; batch < 20; batch += 1) {
    await write(
      Array.from({ length: 1000 }, (_, at) => ({
        ...metric('auth_request', NOW - 100 * DAY + batch * 1000 + at, { user_hash: `u${at}` }),
        metadata: { text: 'x'.repeat(200) },
      })),
    );
  }
  const full = statSync(path).size + statSync(`${path}-wal`).size;
  const holds: number[] = [];
  const cleaning = store.retention.cleanup({ now: NOW, onProgress: ({ deletedRows }) => holds.push(deletedRows) });
  await write([metric('auth_request', NOW)]);
  t.ok(holds.length >= 0);
  const report = await cleaning;
  t.equal(report.totalDeleted, 20_000);
  t.ok(holds.length > 5, 'in slices, with progress');
  t.ok(holds.every((rows, at) => at === 0 || rows >= holds[at - 1]!));
  t.equal(count('metrics'), 1);
  t.ok(report.longestHoldMs > 0);
  const size = await store.retention.size();
  t.ok(size.free_pages <= 300, `${size.free_pages} pages stay free`);
  t.equal(size.total_bytes, size.main_db_bytes + size.wal_bytes);
  await store.close();
  t.ok(statSync(path).size < full / 3, `${full} bytes became ${statSync(path).size}`);
});

t.test('a cancelled cleanup stops between two slices; the next one ends it', async (t) => {
  const { store, write, count } = await open(t);
  await write(Array.from({ length: 5000 }, (_, at) => metric('auth_request', NOW - 100 * DAY + at)));
  const cancel = new AbortController();
  const report = await store.retention.cleanup({ now: NOW, signal: cancel.signal, onProgress: () => cancel.abort() });
  t.ok(report.cancelled);
  t.match(report.tables[0], { status: 'cancelled' });
  t.equal(count('metrics'), 5000 - report.totalDeleted);
  t.ok(report.totalDeleted > 0 && report.totalDeleted < 5000);
  const rest = await store.retention.cleanup({ now: NOW });
  t.equal(rest.totalDeleted + report.totalDeleted, 5000);
  t.strictSame(count('metrics'), 0);
});

t.test('statistics agree with counting, rare types and rollups included, whatever writes and removes', async (t) => {
  const { store, write, count, path } = await open(t);
  const start = NOW - 95 * DAY;
  // The one discovery lies in the middle of more events than statistics look through from either end.
  const many = (from: number): JsonMetric[] =>
    Array.from({ length: 6000 }, (_, at) => metric('auth_request', from + at));
  await write([...many(start), metric('tool_discovery', NOW - DAY), ...many(NOW - 10_000)]);
  const check = async (what: string): Promise<void> => {
    const stats = await store.retention.stats();
    for (const table of ['metrics', 'auth_metrics', 'discovery_metrics', 'metrics_hourly', 'metrics_daily'] as const) {
      t.equal(stats[table].record_count, count(table), `${table} ${what}`);
    }
    const [edges] = query(path, 'SELECT min(timestamp) AS oldest, max(timestamp) AS newest FROM metrics');
    const { oldest_record: oldest, newest_record: newest } = stats.metrics;
    t.strictSame({ oldest: Date.parse(oldest!), newest: Date.parse(newest!) }, edges, `edges ${what}`);
    const time = new Date(NOW - DAY).toISOString();
    t.match(stats.discovery_metrics, { oldest_record: time, newest_record: time });
  };
  await check('at first');
  const { metrics, discovery_metrics: discovery } = await store.retention.preview(NOW + 95 * DAY);
  t.match(metrics, { records_to_delete: 12_001, oldest_record_to_delete: new Date(start).toISOString() });
  const only = new Date(NOW - DAY).toISOString();
  t.match(discovery, { records_to_delete: 1, oldest_record_to_delete: only, newest_record_to_delete: only });
  await store.retention.cleanup({ now: NOW });
  await check('after a cleanup');
  const db = new Database(path);
  db.exec('DELETE FROM rollup_hourly; UPDATE writer_state SET dictionary_generation = dictionary_generation + 1');
  db.close();
  await check('after rollups were deleted by hand');
  await store.backfill({ now: NOW });
  await check('after a backfill');
});

t.test('statistics, policies and preview wait for no batch that is being written', async (t) => {
  const { store, write, path } = await open(t);
  await write([metric('auth_request', NOW - 100 * DAY)]);
  // Their threads' start is not what is tried here.
  await store.retention.preview(NOW);
  const other = new Database(path);
  other.exec('BEGIN IMMEDIATE');
  const underWay = write([metric('auth_request', NOW)]).then(
    () => 'the batch was first',
    () => 'the batch was first',
  );
  const read = Promise.all([
    store.retention.stats(),
    store.retention.policies(),
    store.retention.preview(NOW),
    store.retention.size(),
  ]);
  t.equal(await Promise.race([underWay, read.then(() => 'they were first')]), 'they were first');
  const [stats, policies, preview] = await read;
  t.equal(stats.metrics.record_count, 1);
  t.equal(policies.length, 7);
  t.equal(preview.metrics?.records_to_delete, 1);
  other.exec('ROLLBACK');
  other.close();
  await underWay;
});

t.test('the write-ahead log stays short while cleanup and rebuild go on', async (t) => {
  const { store, write, path, count } = await open(t);
  const logBytes = (): number => statSync(`${path}-wal`).size;
  const many = (from: number): JsonMetric[] =>
    Array.from({ length: 20_000 }, (_, at) => ({
      ...metric('auth_request', from + at * 1000, { user_hash: `u${at}` }),
      metadata: { text: 'x'.repeat(200) },
    }));
  await write(many(NOW - 100 * DAY));
  await write(many(NOW - DAY));
  const before = logBytes();
  t.ok(before > 8 * 1024 ** 2, `${before} bytes without slices`);
  // Closed by the last to leave, the log is gone; what comes now begins a new one.
  await store.close();
  const again = await openStore(path, { log: memoryLog() });
  t.teardown(() => again.close());
  await again.retention.cleanup({ now: NOW });
  await again.backfill({ now: NOW });
  t.equal(count('metrics'), 20_000);
  t.ok(logBytes() < 6 * 1024 ** 2, `${logBytes()} bytes with them`);
});
