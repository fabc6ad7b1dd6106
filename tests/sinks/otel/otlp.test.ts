import t, { type Test } from 'tap';
import { readFileSync } from 'node:fs';
import type { Totals } from '../../../src/core/totals.ts';
import { otlp, type OtlpOptions } from '../../../src/sinks/otel/otlp.ts';
import { type Behaviour, type Collector, type DecodedMetric, type DecodedPoint, startCollector } from './collector.ts';
import { testContext, type TestContext, until } from './context.ts';
import { selfSigned } from './self-signed.ts';
import { type Body, journalOf, NOON, type TestJournal } from './journal-of.ts';
import { folderOf } from '../../support/folder.ts';

const signal = new AbortController().signal;
const STANDARD = /^OTEL_/;
for (const name of Object.keys(process.env)) if (STANDARD.test(name)) delete process.env[name];

const tool = (name: string): Body => ({
  service: 'auth-server',
  metrics: [{ type: 'tool_execution', value: 1, duration_ms: 20, dimensions: { tool_name: name, success: true } }],
});

interface Pushing {
  readonly totals: Totals;
  readonly context: TestContext;
}

async function push(t: Test, options: OtlpOptions, journal: TestJournal, directory?: string): Promise<Pushing> {
  const reader = otlp({ intervalMs: 50, timeoutMs: 400, ...options });
  const totals = reader.openTotals([reader], {});
  const context = testContext(directory ?? folderOf(t));
  await totals.start?.(context);
  t.teardown(() => totals.stop?.());
  const from = (await totals.checkpoint?.()) ?? { journalId: journal.end().journalId, sequence: 0, count: 0 };
  totals.resume?.(from, journal.end());
  await deliver(totals, journal, from.count);
  return { totals, context };
}

async function deliver(totals: Totals, journal: TestJournal, after: number): Promise<void> {
  const known = journal.records.find(({ count }) => count === after);
  const batch = journal.after(
    known === undefined ? undefined : { journalId: journal.end().journalId, sequence: known.sequence, count: after },
  );
  if (batch !== undefined) await totals.write(batch, signal);
}

async function collector(t: Test): Promise<Collector> {
  const started = await startCollector();
  t.teardown(started.close);
  return started;
}

const pointsOf = (metrics: readonly DecodedMetric[], name: string): readonly DecodedPoint[] =>
  metrics.filter((metric) => metric.name === name).flatMap(({ points }) => points);

t.test('totals and self-metrics arrive as cumulative sums and histograms, with the resource', async (t) => {
  const server = await collector(t);
  process.env['OTEL_RESOURCE_ATTRIBUTES'] = 'deployment.environment.name=test,service.namespace=mcp';
  process.env['OTEL_SERVICE_NAME'] = 'metrics-of-mine';
  t.teardown(() => {
    delete process.env['OTEL_RESOURCE_ATTRIBUTES'];
    delete process.env['OTEL_SERVICE_NAME'];
  });
  const journal = journalOf([tool('search'), tool('search')]);
  const { totals } = await push(t, { endpoint: server.url, headers: { 'api-key': 'k' } }, journal);
  await until('an export', () => server.taken.length > 0);
  const [first] = server.taken;
  t.match(first, { url: '/v1/metrics', headers: { 'content-type': 'application/x-protobuf', 'api-key': 'k' } });
  t.match(first?.resource, {
    'service.name': 'metrics-of-mine',
    'service.namespace': 'mcp',
    'deployment.environment.name': 'test',
    'service.version': /^\d+\.\d+\.\d+/,
    'service.instance.id': /^[0-9a-f-]{36}$/,
  });
  const metrics = first?.metrics ?? [];
  t.match(
    metrics.find(({ name }) => name === 'mcp_tool_executions_total'),
    { kind: 'sum', temporality: 2, monotonic: true, points: [{ value: 2, startMs: NOON }] },
  );
  const [histogram] = pointsOf(metrics, 'mcp_tool_execution_duration_seconds');
  t.match(histogram, { count: 2, sum: 0.04, startMs: NOON, attributes: { tool_name: 'search', success: 'true' } });
  t.equal(histogram?.bucketCounts?.[2], 2);
  t.equal(histogram?.bucketCounts?.length, (histogram?.bounds?.length ?? 0) + 1);
  t.equal(metrics.find(({ name }) => name === 'mcp_tool_execution_duration_seconds')?.unit, 's');
  t.match(pointsOf(metrics, 'mcp_gateway_series'), [{ value: 2 }]);
  await until('what was delivered is told', () => totals.delivered().get('otlp') === 2);
});

for (const [name, behaviour] of [
  ['500', { status: 500 }],
  ['400', { status: 400 }],
  ['429 with Retry-After', { status: 429, retryAfter: '1' }],
  ['no answer', 'hang'],
  ['a reset connection', 'reset'],
  ['half an answer', 'half'],
] as [string, Behaviour][]) {
  t.test(`${name}: told once, not counted as delivered, and caught up by itself`, async (t) => {
    const server = await collector(t);
    server.behaviour = behaviour;
    const journal = journalOf([tool('a')]);
    const { totals, context } = await push(t, { endpoint: server.url }, journal);
    const lines = (message: RegExp) => context.lines.filter((line) => message.test(line.message));
    const failures = () =>
      context.telemetry
        .counter({ name: 'mcp_gateway_otlp_exports_total', help: '' })
        .value({ reader: 'otlp', outcome: 'failed' });
    await until('two failures', () => failures() >= 2);
    t.equal(totals.delivered().get('otlp'), 0);
    t.equal(lines(/OTLP export failed/).length, 1);

    journal.append(tool('a'));
    await deliver(totals, journal, 1);
    server.behaviour = 'ok';
    await until('recovery', () => totals.delivered().get('otlp') === 2);
    t.match(pointsOf(server.taken.at(-1)?.metrics ?? [], 'mcp_tool_executions_total'), [{ value: 2 }]);
    t.equal(lines(/works again/).length, 1);
  });
}

t.test('the standard variables say where, how and with which headers', async (t) => {
  const server = await collector(t);
  const variables = {
    OTEL_EXPORTER_OTLP_ENDPOINT: 'http://127.0.0.1:1',
    OTEL_EXPORTER_OTLP_METRICS_ENDPOINT: `${server.url}/own/path`,
    OTEL_EXPORTER_OTLP_HEADERS: 'a=general,b=general',
    OTEL_EXPORTER_OTLP_METRICS_HEADERS: 'b=specific',
    OTEL_EXPORTER_OTLP_COMPRESSION: 'gzip',
  };
  Object.assign(process.env, variables);
  t.teardown(() => {
    for (const name of Object.keys(variables)) delete process.env[name];
  });
  await push(t, {}, journalOf([tool('a')]));
  await until('an export', () => server.taken.length > 0);
  t.match(server.taken[0], { url: '/own/path', headers: { a: 'general', b: 'specific', 'content-encoding': 'gzip' } });
});

t.test('certificates for the collector and for the client come from the standard variables', async (t) => {
  const directory = folderOf(t);
  const { certFile, keyFile } = selfSigned(directory);
  const server = await startCollector({ cert: readFileSync(certFile), key: readFileSync(keyFile) });
  t.teardown(server.close);
  const variables = {
    OTEL_EXPORTER_OTLP_CERTIFICATE: certFile,
    OTEL_EXPORTER_OTLP_METRICS_CLIENT_CERTIFICATE: certFile,
    OTEL_EXPORTER_OTLP_METRICS_CLIENT_KEY: keyFile,
  };
  Object.assign(process.env, variables);
  t.teardown(() => {
    for (const name of Object.keys(variables)) delete process.env[name];
  });
  await push(t, { endpoint: server.url }, journalOf([tool('a')]), directory);
  await until('an export', () => server.taken.length > 0);
  t.match(pointsOf(server.taken[0]?.metrics ?? [], 'mcp_tool_executions_total'), [{ value: 1 }]);
});

t.test('OTEL_EXPORTER_OTLP_ENDPOINT is a base to which the path is added', async (t) => {
  const server = await collector(t);
  process.env['OTEL_EXPORTER_OTLP_ENDPOINT'] = `${server.url}/base`;
  t.teardown(() => delete process.env['OTEL_EXPORTER_OTLP_ENDPOINT']);
  await push(t, {}, journalOf([tool('a')]));
  await until('an export', () => server.taken.length > 0);
  t.equal(server.taken[0]?.url, '/base/v1/metrics');
});

t.test('many series go in several requests, none twice', async (t) => {
  const server = await collector(t);
  const names = Array.from({ length: 100 }, (_, index) => `tool-${index}`);
  await push(t, { endpoint: server.url, maxPointsPerRequest: 30, selfMetrics: false }, journalOf(names.map(tool)));
  await until('one whole export', () => server.taken.length >= 7);
  const whole = server.taken.slice(0, 7).flatMap(({ metrics }) => metrics);
  for (const name of ['mcp_tool_executions_total', 'mcp_tool_execution_duration_seconds']) {
    t.strictSame(
      pointsOf(whole, name)
        .map(({ attributes }) => attributes['tool_name'])
        .sort((a, b) => String(a).localeCompare(String(b))),
      names.toSorted((a, b) => a.localeCompare(b)),
    );
  }
});

t.test('nothing is pushed before the replay is done: sums do not go back', async (t) => {
  const server = await collector(t);
  const journal = journalOf([tool('a'), tool('a')]);
  const reader = otlp({ endpoint: server.url, intervalMs: 20 });
  const totals = reader.openTotals([reader], {});
  await totals.start?.(testContext(folderOf(t)));
  t.teardown(() => totals.stop?.());
  const nothing = { journalId: journal.end().journalId, sequence: 0, count: 0 };
  totals.resume?.(nothing, journal.end());
  await totals.write(journal.after(nothing, 1)!, signal);
  t.equal(totals.health?.().healthy, false);
  t.equal(server.requests(), 0);
  await totals.write(journal.after({ ...nothing, sequence: 1, count: 1 })!, signal);
  await until('an export', () => server.taken.length > 0);
  t.match(pointsOf(server.taken[0]?.metrics ?? [], 'mcp_tool_executions_total'), [{ value: 2 }]);
});

t.test('at stop the last metrics are still pushed', async (t) => {
  const server = await collector(t);
  const { totals } = await push(t, { endpoint: server.url, intervalMs: 3_600_000 }, journalOf([tool('a')]));
  await totals.stop?.();
  t.match(pointsOf(server.taken[0]?.metrics ?? [], 'mcp_tool_executions_total'), [{ value: 1 }]);
});

t.test('off without an endpoint; options that make no sense are refused by name', (t) => {
  t.equal(otlp().enabled, false);
  t.equal(otlp({ endpoint: 'http://collector:4318' }).enabled, true);
  t.match(otlp({ endpoint: 'http://collector:4318/' }).settings, { url: 'http://collector:4318/v1/metrics' });
  t.match(otlp({ endpoint: 'http://c/v1/metrics' }).settings, { url: 'http://c/v1/metrics' });
  t.throws(() => otlp({ enabled: true }), /OTEL_EXPORTER_OTLP_ENDPOINT/);
  t.throws(() => otlp({ endpoint: 'collector:4318' }), /otlp\.endpoint.*http/);
  t.throws(() => otlp({ endpoint: 'http://c', intervalMs: 0 }), /otlp\.intervalMs.*got 0/);
  t.throws(() => otlp({ endpoint: 'http://c', maxPointsPerRequest: 0 }), /maxPointsPerRequest/);
  process.env['OTEL_METRIC_EXPORT_INTERVAL'] = 'soon';
  t.teardown(() => delete process.env['OTEL_METRIC_EXPORT_INTERVAL']);
  t.throws(() => otlp({ endpoint: 'http://c' }), /OTEL_METRIC_EXPORT_INTERVAL.*got soon/);
  t.end();
});
