/** The replaced service's database comes over whole: once, in pieces if need be, with its keys. */
import { createHash } from 'node:crypto';
import { copyFileSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import Database from 'better-sqlite3';
import t, { type Test } from 'tap';
import type { JsonMetric } from '../../../src/core/json-events.ts';
import { openKeyStore } from '../../../src/sinks/sqlite/key-store.ts';
import { openStore } from '../../../src/sinks/sqlite/store.ts';
import { memoryLog, query, recordedBodies, recorder, settableClock } from './harness.ts';
import { folderOf } from '../../support/folder.ts';

const NOW = Date.UTC(2026, 10, 22, 12);
const SCHEMA = readFileSync(fileURLToPath(new URL('../../fixtures/legacy-schema.sql', import.meta.url)), 'utf8');
const sha256 = (text: string): string => createHash('sha256').update(text).digest('hex');

const TYPED = {
  auth_request: ['auth_metrics', ['success', 'method', 'server', 'user_hash', 'error_code']],
  tool_execution: [
    'tool_metrics',
    [
      'tool_name',
      'server_path',
      'server_name',
      'success',
      'error_code',
      'input_size_bytes',
      'output_size_bytes',
      'client_name',
      'client_version',
      'method',
      'user_hash',
    ],
  ],
} as const;

/** Writes requests as the replaced service did: a row in `metrics`, and one in the table of the type. */
function fillLegacy(
  path: string,
  bodies: readonly { service: string; version?: string | null; metrics: readonly unknown[] }[],
): void {
  const db = new Database(path);
  db.exec(SCHEMA);
  const insert = db.prepare(
    "INSERT INTO metrics (request_id, service, service_version, metric_type, timestamp, value, duration_ms, dimensions, metadata, created_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, '2026-11-22 08:20:00')",
  );
  db.transaction(() => {
    for (const [index, body] of bodies.entries()) {
      const requestId = `req_${(index + 1).toString(16).padStart(32, '0')}`;
      for (const metric of body.metrics as JsonMetric[]) {
        const { type, timestamp, value, duration_ms: duration, dimensions, metadata } = metric;
        insert.run(
          requestId,
          body.service,
          body.version ?? null,
          type,
          timestamp,
          value,
          duration ?? null,
          JSON.stringify(dimensions),
          JSON.stringify(metadata),
        );
        const typed = TYPED[type as keyof typeof TYPED] as (typeof TYPED)[keyof typeof TYPED] | undefined;
        if (typed === undefined) continue;
        const [table, columns] = typed;
        const read = (name: string): unknown => {
          const found = dimensions?.[name] ?? metadata?.[name] ?? null;
          return typeof found === 'boolean' ? Number(found) : found;
        };
        db.prepare(
          `INSERT INTO ${table} (request_id, timestamp, service, duration_ms, ${columns.join(', ')}) VALUES (?, ?, ?, ?, ${columns.map(() => '?').join(', ')})`,
        ).run(requestId, timestamp, body.service, duration ?? null, ...columns.map(read));
      }
    }
  })();
  db.close();
}

const open = async (t: Test, directory: string) => {
  const path = join(directory, 'metrics.db');
  const store = await openStore(path, { log: memoryLog() });
  t.teardown(() => store.close());
  const count = (view: string): unknown => query(path, `SELECT count(*) AS n FROM ${view}`)[0]?.['n'];
  return { store, path, count };
};
const VIEWS = ['metrics', 'auth_metrics', 'tool_metrics', 'protocol_metrics'];

t.test('what was recorded comes out of an import as it does out of ingest', async (t) => {
  const directory = folderOf(t);
  const legacy = join(directory, 'legacy.db');
  const bodies = recordedBodies();
  fillLegacy(legacy, bodies);
  const { store, path } = await open(t, directory);
  const progress: number[] = [];
  const report = await store.importLegacy(legacy, {
    now: NOW,
    onProgress: ({ rows, totalRows }) => progress.push(rows / totalRows),
  });
  t.match(report, { imported: 3580, already: 0, skipped: 0, cancelled: false });
  t.equal(progress.at(-1), 1);

  const direct = join(directory, 'direct', 'metrics.db');
  const other = await openStore(direct, { log: memoryLog() });
  t.teardown(() => other.close());
  const { record, end } = recorder();
  await other.write(
    bodies.map((body) => record(body)),
    end(),
  );
  for (const view of [...VIEWS, 'metrics_hourly', 'metrics_daily']) {
    t.strictSame(query(path, `SELECT * FROM ${view}`), query(direct, `SELECT * FROM ${view}`), view);
  }

  t.match(await store.importLegacy(legacy, { now: NOW }), { imported: 0, already: 3580 }, 'a second time');
  copyFileSync(legacy, `${legacy}.copy`);
  const more = new Database(`${legacy}.copy`);
  more.exec(
    "INSERT INTO metrics (request_id, service, metric_type, timestamp, value, dimensions, metadata) VALUES ('r', 's', 'custom', '2026-11-22T09:00:00', 2, '{\"metric_name\":\"m\"}', '{}')",
  );
  more.close();
  t.match(await store.importLegacy(`${legacy}.copy`, { now: NOW }), { imported: 1, already: 3580 }, 'a later copy');
  t.equal(query(path, 'SELECT count(*) AS n FROM metrics')[0]?.['n'], 3581);
});

t.test('an import cut short goes on where it ended', async (t) => {
  const directory = folderOf(t);
  const legacy = join(directory, 'legacy.db');
  fillLegacy(legacy, recordedBodies());
  const { store, count, path } = await open(t, directory);
  const cancel = new AbortController();
  const first = await store.importLegacy(legacy, { now: NOW, signal: cancel.signal, onProgress: () => cancel.abort() });
  t.match(first, { imported: 2000, cancelled: true });
  await store.close();
  const again = await openStore(path, { log: memoryLog() });
  t.teardown(() => again.close());
  t.match(await again.importLegacy(legacy, { now: NOW }), { imported: 1580, already: 2000, cancelled: false });
  t.strictSame(VIEWS.map(count), [3580, 929, 929, 1722]);
  t.strictSame(query(path, 'SELECT sum(count) AS n FROM metrics_daily'), [{ n: 3580 }]);
});

t.test('dates, booleans, orphans and rows that are no metrics', async (t) => {
  const directory = folderOf(t);
  const legacy = join(directory, 'legacy.db');
  const db = new Database(legacy);
  db.exec(SCHEMA);
  db.exec(`
    INSERT INTO metrics (request_id, service, metric_type, timestamp, value, duration_ms, dimensions, metadata, created_at) VALUES
      ('r1', 'a', 'auth_request', '2026-03-07T09:34:34.123456', 1, 5, '{"success":"true","method":"jwt","server":null}', '{}', '2026-03-07 09:34:35'),
      ('r2', 'a', 'tool_execution', '2026-03-07T09:34:35', 1, 7, '{"tool_name":"t"}', 'not json', '2026-03-07 09:34:36'),
      ('r2', 'a', 'tool_execution', '2026-03-07T09:34:35', 1, 8, '{"tool_name":"t"}', NULL, '2026-03-07 09:34:36'),
      ('r3', 'a', 'unheard_of', '2026-03-07T09:34:35', 1, 7, '{}', '{}', NULL),
      ('r4', 'a', 'custom', 'some day', 1, 7, '{}', '{}', NULL);
    INSERT INTO tool_metrics (request_id, timestamp, service, duration_ms, tool_name, success, error_code, input_size_bytes) VALUES
      ('r2', '2026-03-07T09:34:35', 'a', 7, 't', 'false', '500', 10),
      ('r2', '2026-03-07T09:34:35', 'a', 8, 't', 1, NULL, 20),
      ('r9', '2026-03-07T09:34:36', 'a', 9, 'orphan', 0, '404', 30);
    INSERT INTO discovery_metrics (request_id, timestamp, service, duration_ms, query, results_count, embedding_time_ms) VALUES
      ('r8', '2026-03-07T09:34:37', 'a', 9, 'find', -1, 1.5);`);
  db.close();
  const { store, path, count } = await open(t, directory);
  const report = await store.importLegacy(legacy, { now: NOW });
  t.match(report, { imported: 5, skipped: 2, incomplete: 1 });
  t.match(report.skippedRows, [
    { row: 'metrics 4', reason: /unknown metric_type "unheard_of"/ },
    { row: 'metrics 5', reason: /timestamp "some day"/ },
  ]);
  t.equal(count('metrics'), 5);
  t.match(query(path, 'SELECT time, created_at, success, method, dimensions FROM auth_metrics'), [
    {
      time: '2026-03-07T09:34:34.123Z',
      created_at: '2026-03-07T09:34:35.000Z',
      success: 1,
      method: 'jwt',
      dimensions: '{"success":true,"method":"jwt"}',
    },
  ]);
  t.strictSame(
    query(path, 'SELECT tool_name, duration_ms, success, error_code, input_size_bytes FROM tool_metrics ORDER BY id'),
    [
      { tool_name: 't', duration_ms: 7, success: 0, error_code: '500', input_size_bytes: 10 },
      { tool_name: 't', duration_ms: 8, success: 1, error_code: null, input_size_bytes: 20 },
      { tool_name: 'orphan', duration_ms: 9, success: 0, error_code: '404', input_size_bytes: 30 },
    ],
  );
  t.strictSame(query(path, 'SELECT query, results_count, embedding_time_ms FROM discovery_metrics'), [
    { query: 'find', results_count: -1, embedding_time_ms: 1.5 },
  ]);
});

t.test('events whose dimensions or metadata cannot be read come without them, counted and named', async (t) => {
  const directory = folderOf(t);
  const legacy = join(directory, 'legacy.db');
  const db = new Database(legacy);
  db.exec(SCHEMA);
  const insert = db.prepare(
    "INSERT INTO metrics (request_id, service, metric_type, timestamp, value, dimensions, metadata) VALUES ('r', 'a', 'custom', '2026-03-07T09:34:34', 1, ?, ?)",
  );
  insert.run('{"metric_name":"m","a":NaN}', '{"note":"kept"}');
  insert.run('["metric_name"]', 'nor this');
  insert.run('{"metric_name":"m"}', Buffer.from('{}'));
  for (const nothing of [null, '', '{}', 'null']) insert.run('{"metric_name":"m"}', nothing);
  for (let more = 0; more < 30; more += 1) insert.run('{', '{}');
  db.close();
  const { store, path } = await open(t, directory);
  const report = await store.importLegacy(legacy, { now: NOW });
  t.match(report, { imported: 37, skipped: 0, incomplete: 33 });
  t.equal(report.incompleteRows.length, 20);
  t.strictSame(report.incompleteRows.slice(0, 4), [
    { row: 'metrics 1', reason: 'dimensions is no JSON' },
    { row: 'metrics 2', reason: 'dimensions is no JSON object, metadata is no JSON' },
    { row: 'metrics 3', reason: 'metadata is no text' },
    { row: 'metrics 8', reason: 'dimensions is no JSON' },
  ]);
  t.strictSame(query(path, 'SELECT dimensions, metadata FROM metrics ORDER BY id LIMIT 3'), [
    { dimensions: '{}', metadata: '{"note":"kept"}' },
    { dimensions: '{}', metadata: '{}' },
    { dimensions: '{"metric_name":"m"}', metadata: '{}' },
  ]);
});

t.test('existing keys keep working, revoked ones do not begin to', async (t) => {
  const directory = folderOf(t);
  const legacy = join(directory, 'legacy.db');
  const db = new Database(legacy);
  db.exec(SCHEMA);
  const insert = db.prepare(
    "INSERT INTO api_keys (key_hash, service_name, created_at, last_used_at, is_active, rate_limit, usage_count, description) VALUES (?, ?, '2026-01-02 03:04:05', ?, ?, ?, ?, ?)",
  );
  insert.run(sha256('live'), 'auth-server', '2026-05-06 07:08:09', 1, 500, 42, 'the auth server');
  insert.run(sha256('dead'), 'old', null, 0, 1000, 0, null);
  insert.run(sha256('from env'), 'registry', null, 1, 1000, 0, null);
  db.close();
  const { store, path } = await open(t, directory);
  const keys = await openKeyStore({ path, log: memoryLog(), clock: settableClock(NOW) });
  t.teardown(() => keys.close());
  await keys.syncEnvironment([{ service: 'registry', secret: 'from env' }]);
  t.match(await store.importLegacy(legacy, { now: NOW }), { keysImported: 2, keysKnown: 1 });
  t.match(keys.find(sha256('live')), {
    id: /^key_[0-9a-f]{16}$/,
    service: 'auth-server',
    description: 'the auth server',
    scopes: ['ingest'],
    limits: { requestsPerMinute: 500 },
    origin: 'imported',
    createdAt: Date.UTC(2026, 0, 2, 3, 4, 5),
    lastUsedAt: Date.UTC(2026, 4, 6, 7, 8, 9),
    usageCount: 42,
  });
  t.equal(keys.find(sha256('dead')), undefined);
  t.match(keys.find(sha256('from env')), { origin: 'environment' });
  t.match(await store.importLegacy(legacy, { now: NOW }), { keysImported: 0, keysKnown: 3 });
});

t.test('policies that were changed come over once, and never against an operator', async (t) => {
  const directory = folderOf(t);
  const legacy = join(directory, 'legacy.db');
  const db = new Database(legacy);
  db.exec(SCHEMA);
  db.exec(`INSERT INTO retention_policies (table_name, retention_days, is_active) VALUES
    ('metrics', 90, 1), ('auth_metrics', 90, 0), ('tool_metrics', 14, 1), ('discovery_metrics', 200, 'false'),
    ('metrics_hourly', 30, 1), ('metrics_daily', 0, 1), ('api_usage', 5, 1)`);
  db.exec(`INSERT INTO metrics (request_id, service, metric_type, timestamp, value, dimensions) VALUES
    ('r1', 'a', 'tool_execution', '2026-11-01T00:00:00', 1, '{"tool_name":"t"}'),
    ('r2', 'a', 'auth_request', '2026-11-01T00:00:00', 1, '{}')`);
  db.close();
  const { store, count } = await open(t, directory);
  await store.retention.applyDefaults(60, NOW);
  await store.retention.update('metrics_hourly', { retentionDays: 700 }, NOW);
  const { policies, beyondRetention } = await store.importLegacy(legacy, { now: NOW });
  t.strictSame(
    policies.map(({ table, outcome }) => [table, outcome]),
    [
      ['auth_metrics', 'imported'],
      ['tool_metrics', 'imported'],
      ['discovery_metrics', 'imported'],
      ['metrics_hourly', 'left out: an operator has set it here'],
      ['metrics_daily', 'left out: expected 1 to 3650 days'],
      ['api_usage', 'left out: there is no such table here'],
    ],
  );
  const now = async () =>
    (await store.retention.policies()).map(({ table, retentionDays, isActive }) => [table, retentionDays, isActive]);
  const expected = [
    ['metrics', 60, true],
    ['auth_metrics', 90, false],
    ['tool_metrics', 14, true],
    ['discovery_metrics', 200, false],
    ['protocol_metrics', 60, true],
    ['metrics_hourly', 700, true],
    ['metrics_daily', 1095, true],
  ];
  t.strictSame(await now(), expected);
  t.equal(store.retention.keptDays('tool_execution'), 14, 'they hold at once');
  t.equal(beyondRetention, 1, 'what the next cleanup takes is told');
  await store.retention.cleanup({ now: NOW });
  t.equal(count('metrics'), 1);
  t.strictSame(query(store.path, 'SELECT sum(count) AS n FROM metrics_daily'), [{ n: 2 }], 'the rollups stay');

  await store.retention.update('auth_metrics', { isActive: true }, NOW);
  t.strictSame((await store.importLegacy(legacy, { now: NOW })).policies, [], 'a second time');
  t.match(await now(), [[], ['auth_metrics', 90, true]], 'does not undo what was decided since');
  await store.retention.applyDefaults(60, NOW);
  t.match(await now(), [[], ['auth_metrics', 60, true], ['tool_metrics', 14, true]]);
});

t.test('a file of another kind is refused', async (t) => {
  const directory = folderOf(t, { 'text.db': 'no database at all, but long enough to be read as if it were one' });
  const { store, path } = await open(t, directory);
  for (const [file, message] of [
    [join(directory, 'text.db'), /is not a database of the metrics service/],
    [join(directory, 'missing.db'), /cannot be opened/],
    [path, /is not a database of the metrics service/],
  ] as const) {
    await t.rejects(store.importLegacy(file, { now: NOW }), { name: 'UnusableDatabase', message });
  }
});

t.test('a backup made while metrics arrive is a whole database', async (t) => {
  const directory = folderOf(t);
  const { store } = await open(t, directory);
  const { record, end } = recorder();
  const bodies = recordedBodies();
  await store.write(
    bodies.slice(0, 2000).map((body) => record(body)),
    end(),
  );
  const before = end();
  const target = join(directory, 'backup.db');
  const copying = store.backup(target);
  for (const body of bodies.slice(2000, 2020)) await store.write([record(body)], end());
  t.ok((await copying) > 100_000);
  await t.rejects(store.backup(target), /exists already/);
  const copy = await openStore(target, { log: memoryLog() });
  t.teardown(() => copy.close());
  const checkpoint = await copy.checkpoint();
  t.ok(checkpoint!.count >= before.count && checkpoint!.count <= end().count);
  t.strictSame(query(target, 'SELECT count(*) AS n FROM metrics'), [{ n: checkpoint!.count }]);
  t.strictSame(query(target, 'PRAGMA integrity_check'), [{ integrity_check: 'ok' }]);
});
