import t from 'tap';
import { memoryHistory } from '../support/memory-history.ts';
import { SECRET, testGateway } from './gateway.ts';

const ADMIN = { 'X-API-Key': 'admin' };
const READER = { 'X-API-Key': 'reader' };

async function start() {
  const history = memoryHistory();
  const gateway = await testGateway({ dependencies: { history } });
  gateway.keys.add('admin', { scopes: ['admin'] });
  gateway.keys.add('reader', { scopes: ['read'] });
  const call = async (method: string, path: string, options: { headers?: object; body?: unknown } = {}) => {
    const { headers = ADMIN, body } = options;
    const response = await gateway.app.request(path, {
      method,
      headers: { ...headers },
      ...(body === undefined ? undefined : { body: typeof body === 'string' ? body : JSON.stringify(body) }),
    });
    return { status: response.status, json: (await response.json()) as Record<string, unknown> };
  };
  return { ...gateway, history, call };
}

t.test('admin endpoints need admin, reading ones read or admin; the refusal says which', async (t) => {
  const { call } = await start();
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
    ['GET', '/api/v1/query/count-up', 200],
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
  const { call } = await start();
  t.match((await call('GET', '/admin/retention/policies')).json, {
    metrics: { table_name: 'metrics', retention_days: 90, is_active: true, timestamp_column: 'timestamp' },
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
    ['metrics?days=5', undefined, 422, /^days: /],
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

t.test('preview and clean-up', async (t) => {
  const { call, history } = await start();
  t.match((await call('GET', '/admin/retention/preview?table_name=metrics')).json, {
    metrics: {
      retention_days: 90,
      records_to_delete: 1,
      total_records: 3,
      oldest_record_to_delete: '2026-01-01T00:00:00.000Z',
      cutoff_date: '2026-01-02T00:00:00.000Z',
      percentage_to_delete: 33.33,
    },
  });
  t.same(Object.keys((await call('GET', '/admin/retention/preview')).json), ['metrics', 'metrics_hourly']);
  t.equal((await call('GET', '/admin/retention/preview?table_name=x')).status, 400);
  t.match((await call('POST', '/admin/retention/cleanup?table_name=metrics')).json, {
    table: 'metrics',
    status: 'completed',
    records_deleted: 7,
    duration_seconds: 1.5,
    retention_days: 90,
  });
  t.match((await call('POST', '/admin/retention/cleanup', { body: { dry_run: true } })).json, {
    status: 'dry_run',
    tables: { metrics: { status: 'dry_run' }, metrics_hourly: { records_deleted: 7 } },
    total_records_deleted: 14,
  });
  t.equal((await call('POST', '/admin/retention/cleanup', { body: { table_name: 'x' } })).status, 400);
  t.same(history.cleanups, [
    { table: 'metrics', dryRun: false },
    { table: undefined, dryRun: true },
    { table: 'x', dryRun: false },
  ]);
});

t.test('database statistics and size', async (t) => {
  const { call } = await start();
  t.same((await call('GET', '/admin/database/stats')).json, {
    metrics: {
      record_count: 3,
      oldest_record: '2026-01-01T00:00:00.000Z',
      newest_record: '2026-01-02T00:00:00.000Z',
      has_retention_policy: true,
      retention_days: 90,
      policy_active: true,
    },
    api_keys: {
      record_count: 0,
      oldest_record: null,
      newest_record: null,
      has_retention_policy: false,
      retention_days: null,
      policy_active: null,
    },
  });
  t.match((await call('GET', '/admin/database/size')).json, {
    main_db_bytes: 3_145_728,
    main_db_mb: 3,
    wal_mb: 1,
    total_bytes: 4_194_304,
    page_count: 768,
    used_pages: 576,
    database_efficiency: 75,
  });
});

t.test('questions: listed, checked, paged, and as lines', async (t) => {
  const { call, app } = await start();
  t.match((await call('GET', '/api/v1/query')).json, {
    queries: [{ name: 'count-up', path: '/api/v1/query/count-up', parameters: { limit: { default: 2 } } }],
  });
  t.same((await call('GET', '/api/v1/query/count-up?from=2026-01-01T00:00:00Z&exact=true')).json, {
    query: 'count-up',
    rows: [
      { n: 0, from: 1_767_225_600_000, exact: true },
      { n: 1, from: 1_767_225_600_000, exact: true },
    ],
    cursor: '2',
  });
  t.match((await call('GET', '/api/v1/query/count-up?cursor=4')).json, { rows: [{ n: 4 }], cursor: null });
  for (const [search, detail] of [
    ['limit=0', /^limit: /],
    ['limit=101', /^limit: /],
    ['limit=x', /^limit: /],
    ['from=yesterday', /^from: must be an ISO 8601/],
    ['kind=prime', /^kind: /],
    ['sql=DROP', /^sql: /],
  ] as const) {
    const answer = await call('GET', `/api/v1/query/count-up?${search}`);
    t.equal(answer.status, 422, search);
    t.match(answer.json['detail'], detail);
  }
  t.equal((await call('GET', '/api/v1/query/nothing')).status, 404);
  const lines = await app.request('/api/v1/query/count-up', { headers: { ...READER, Accept: 'application/x-ndjson' } });
  t.equal(lines.headers.get('content-type'), 'application/x-ndjson');
  const rows = (await lines.text())
    .trim()
    .split('\n')
    .map((line) => (JSON.parse(line) as { n: number }).n);
  t.same(rows, [0, 1, 2, 3, 4], 'all pages');
});

t.test('without a history its routes are not served', async (t) => {
  const { app } = await testGateway();
  t.equal((await app.request('/admin/retention/policies')).status, 404);
});
