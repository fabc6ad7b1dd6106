import { join } from 'node:path';
import t, { type Test } from 'tap';
import { sqlite } from '../../src/sinks/sqlite/sqlite.ts';
import { openStore } from '../../src/sinks/sqlite/store.ts';
import { createLog } from '../../src/telemetry/log.ts';
import { systemClock } from '../../src/telemetry/system-clock.ts';
import { createTelemetry } from '../../src/telemetry/telemetry.ts';
import { makeBatch } from '../../src/core/batch.ts';
import { endsOf } from '../support/ends.ts';
import { SECRET, testGateway } from './gateway.ts';
import { folderOf } from '../support/folder.ts';

const ADMIN = { 'X-API-Key': 'admin' };
const READER = { 'X-API-Key': 'reader' };
const DAY_MS = 86_400_000;
const TABLES = [
  'metrics',
  'auth_metrics',
  'tool_metrics',
  'discovery_metrics',
  'protocol_metrics',
  'metrics_hourly',
  'metrics_daily',
];

/** A gateway over a real database that holds three metrics, one of them 100 days old. */
async function start(t: Test) {
  const atEnd = endsOf(t);
  const dataDirectory = folderOf(t);
  const path = join(dataDirectory, 'metrics.db');
  const log = createLog({ level: 'silent' });
  const sink = sqlite({ path });
  await sink.start?.({ log, clock: systemClock, telemetry: createTelemetry(), dataDirectory });
  const store = await openStore(path, { log });
  atEnd(() => store.close());
  atEnd(() => sink.stop?.());
  const { retention, history } = store;
  const now = Date.now();
  await retention.applyDefaults(90, now);
  const body = {
    service: 'a',
    metrics: [100, 1, 0].map((days) => ({
      type: 'tool_execution',
      value: 1,
      duration_ms: 10,
      timestamp: new Date(now - days * DAY_MS - 1000).toISOString(),
      dimensions: { tool_name: `tool-${days}`, success: true },
    })),
  };
  const envelope = { f: 'json', q: 'req_1', t: now, k: 'key_1', s: 'a' };
  const record = {
    sequence: 1,
    count: 3,
    metrics: 3,
    envelope: Buffer.from(JSON.stringify(envelope)),
    payload: Buffer.from(JSON.stringify(body)),
    from: 0,
    to: 3,
  };
  await sink.write(makeBatch([record], 3, { journalId: 'j', sequence: 1, count: 3 }), AbortSignal.timeout(5000));

  const gateway = await testGateway({ dependencies: { retention, history } });
  gateway.keys.add('admin', { scopes: ['admin'] });
  gateway.keys.add('reader', { scopes: ['read'] });
  const call = async (method: string, url: string, options: { headers?: object; body?: unknown } = {}) => {
    const { headers = ADMIN, body: sent } = options;
    const response = await gateway.app.request(url, {
      method,
      headers: { ...headers },
      ...(sent === undefined ? undefined : { body: typeof sent === 'string' ? sent : JSON.stringify(sent) }),
    });
    return { status: response.status, json: (await response.json()) as Record<string, unknown> };
  };
  return { ...gateway, call };
}

t.test('admin endpoints need admin, reading ones read or admin; the refusal says which', async (t) => {
  const { call } = await start(t);
  for (const [method, path, reader] of [
    ['GET', '/admin/keys', 403],
    ['POST', '/admin/keys', 403],
    ['DELETE', '/admin/keys/key_1', 403],
    ['GET', '/admin/tail', 403],
    ['GET', '/admin/retention/policies', 403],
    ['PUT', '/admin/retention/policies/metrics', 403],
    ['POST', '/admin/retention/cleanup', 403],
    ['GET', '/admin/database/stats', 200],
    ['GET', '/admin/database/size', 200],
    ['GET', '/api/v1/query', 200],
    ['GET', '/api/v1/query/top-tools', 200],
  ] as const) {
    const none = await call(method, path, { headers: {} });
    t.equal(none.status, 401, `${method} ${path} without a key`);
    const ingest = await call(method, path, { headers: { 'X-API-Key': SECRET } });
    t.equal(ingest.status, 403, `${method} ${path} with an ingest key`);
    t.match(
      ingest.json['detail'],
      new RegExp(`^${method} .* needs a key with scope (read or )?admin; this one has scope ingest\\.$`),
    );
    t.equal((await call(method, path, { headers: READER })).status, reader, `${method} ${path} with a reading key`);
  }
});

t.test('retention policies: parameters work as query and as body, and what makes no sense is refused', async (t) => {
  const { call } = await start(t);
  const policies = (await call('GET', '/admin/retention/policies')).json;
  t.same(Object.keys(policies).toSorted(), TABLES.toSorted());
  t.match(policies, {
    metrics: { table_name: 'metrics', retention_days: 90, is_active: true, timestamp_column: 'timestamp' },
    metrics_hourly: { retention_days: 365 },
    metrics_daily: { retention_days: 1095 },
  });
  t.match((await call('PUT', '/admin/retention/policies/metrics?retention_days=30&is_active=false')).json, {
    status: 'success',
    table_name: 'metrics',
    retention_days: 30,
    is_active: false,
  });
  t.match((await call('PUT', '/admin/retention/policies/metrics', { body: { retention_days: 3650 } })).json, {
    retention_days: 3650,
    is_active: false,
  });
  for (const [path, body, status, detail] of [
    ['metrics?retention_days=0', undefined, 422, /^retention_days: /],
    ['metrics?retention_days=-5', undefined, 422, /^retention_days: /],
    ['metrics?retention_days=3651', undefined, 422, /^retention_days: /],
    ['metrics?retention_days=1.5', undefined, 422, /^retention_days: /],
    ['metrics?retention_days=many', undefined, 422, /^retention_days: /],
    ['metrics?retention_days=1&retention_days=2', undefined, 422, /^retention_days: /],
    ['metrics?is_active=perhaps', undefined, 422, /^is_active: /],
    ['metrics?days=5', undefined, 422, /^a parameter is unknown; there are retention_days, is_active/],
    ['metrics', undefined, 422, /^Give retention_days/],
    ['metrics', '{"retention_days":', 400, /not JSON/],
    ['metrics', [1], 422, /must be a JSON object/],
    ['metrics', 'x'.repeat(70_000), 413, /larger than/],
    ['nothing', { retention_days: 5 }, 400, /^Unknown table/],
  ] as const) {
    const answer = await call('PUT', `/admin/retention/policies/${path}`, { body });
    t.equal(answer.status, status, `${path} ${JSON.stringify(body)?.slice(0, 30)}`);
    t.match(answer.json['detail'], detail);
  }
  t.match((await call('GET', '/admin/retention/policies')).json, { metrics: { retention_days: 3650 } });
});

t.test('preview, dry run, clean-up', async (t) => {
  const { call, app } = await start(t);
  const preview = await call('GET', '/admin/retention/preview?table_name=tool_metrics');
  t.match(preview.json, {
    tool_metrics: { retention_days: 90, records_to_delete: 1, total_records: 3, percentage_to_delete: 33.33 },
  });
  t.same(Object.keys(preview.json), ['tool_metrics']);
  t.same(Object.keys((await call('GET', '/admin/retention/preview')).json).toSorted(), TABLES.toSorted());
  t.equal((await call('GET', '/admin/retention/preview?table_name=x')).status, 422);

  const dry = await call('POST', '/admin/retention/cleanup', { body: { dry_run: true } });
  t.match(dry.json, {
    status: 'completed',
    dry_run: true,
    total_records_deleted: 0,
    tables: { metrics: { records_to_delete: 1, records_deleted: 0 } },
  });
  const told = await app.request('/admin/retention/cleanup?dry_run=true', {
    method: 'POST',
    headers: { ...ADMIN, Accept: 'application/x-ndjson' },
  });
  t.match(told.headers.get('content-type'), 'application/x-ndjson');
  const last = (await told.text()).trim().split('\n').at(-1)!;
  t.match(JSON.parse(last), { result: { status: 'completed', tables: { metrics: { records_to_delete: 1 } } } });

  const one = await call('POST', '/admin/retention/cleanup?table_name=tool_metrics');
  t.match(one.json, { table: 'tool_metrics', status: 'completed', records_deleted: 1, retention_days: 90 });
  t.ok(Number(one.json['longest_hold_ms']) >= 0);
  t.match((await call('GET', '/admin/database/stats')).json, { metrics: { record_count: 2 } });
});

t.test('database statistics and size', async (t) => {
  const { call } = await start(t);
  t.match((await call('GET', '/admin/database/stats')).json, {
    metrics: {
      record_count: 3,
      oldest_record: /^\d{4}-\d\d-\d\dT/,
      has_retention_policy: true,
      retention_days: 90,
      policy_active: true,
    },
    auth_metrics: { record_count: 0, oldest_record: null, newest_record: null },
  });
  const size = (await call('GET', '/admin/database/size')).json as Record<string, number>;
  t.ok(size['main_db_bytes']! > 0);
  t.equal(size['total_bytes'], size['main_db_bytes']! + size['wal_bytes']!);
  t.equal(size['used_pages'], size['page_count']! - size['free_pages']!);
});

t.test('questions: listed, asked, refused where they make no sense, paged, and as lines', async (t) => {
  const { call, app } = await start(t);
  const catalog = (await call('GET', '/api/v1/query')).json as { queries: { name: string; path: string }[] };
  t.ok(catalog.queries.some(({ name, path }) => name === 'top-tools' && path === '/api/v1/query/top-tools'));
  const top = await call('GET', '/api/v1/query/top-tools?from=30d', { headers: READER });
  t.match(top.json, { query: 'top-tools', rows: { length: 2 } });
  const page = await call('GET', '/api/v1/query/events?from=200d&limit=2');
  t.match(page.json, { rows: { length: 2 }, next: /./ });
  t.match((await call('GET', `/api/v1/query/events?from=200d&limit=2&after=${String(page.json['next'])}`)).json, {
    rows: { length: 1 },
  });
  for (const [search, detail] of [
    ['limit=0', /^limit: /],
    ['limit=x', /^limit: /],
    ['from=yesterday', /^from: /],
    ['sql=DROP', /^a parameter is unknown; there are from, to, /],
  ] as const) {
    const answer = await call('GET', `/api/v1/query/top-tools?${search}`);
    t.equal(answer.status, 422, search);
    t.match(answer.json['detail'], detail);
    const lines = await app.request(`/api/v1/query/top-tools?${search}`, {
      headers: { ...READER, Accept: 'application/x-ndjson' },
    });
    t.equal(lines.status, 422, 'a question that cannot be read is refused as lines, too');
  }
  t.equal((await call('GET', '/api/v1/query/user')).status, 422, 'a question that lacks what it needs');
  t.equal((await call('GET', '/api/v1/query/nothing')).status, 404);
  const lines = await app.request('/api/v1/query/events?from=200d&limit=1', {
    headers: { ...READER, Accept: 'application/x-ndjson' },
  });
  t.equal(lines.headers.get('content-type'), 'application/x-ndjson');
  t.equal((await lines.text()).trim().split('\n').length, 3, 'all pages');
});
