import t, { type Test } from 'tap';
import { execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import type { TotalsReader } from '../../../src/core/sink.ts';
import type { Totals } from '../../../src/core/totals.ts';
import { prometheus, type PrometheusOptions } from '../../../src/sinks/otel/prometheus.ts';
import { testContext, type TestContext } from './context.ts';
import { RECORDED, recordedTraffic } from '../../support/traffic.ts';
import { type Body, journalOf, type TestJournal } from './journal-of.ts';
import { folderOf } from '../../support/folder.ts';

const signal = new AbortController().signal;
const body = (): Body => ({
  service: 'auth-server',
  metrics: [
    {
      type: 'auth_request',
      value: 1,
      duration_ms: 20,
      dimensions: { success: true, method: 'jwt', server: 'a"b\\c\nd' },
    },
    {
      type: 'auth_request',
      value: 2,
      dimensions: { success: 'false', method: 'jwt' },
      metadata: { error_code: 'expired' },
    },
    { type: 'tool_execution', value: 1, duration_ms: 0, dimensions: { tool_name: 'search', success: true } },
    { type: 'protocol_latency', value: 0.3, dimensions: { flow_step: 'initialize_to_tools_list' } },
  ],
});

/** Totals with a `prometheus()` on a free port, and the address that its log line tells. */
async function serve(t: Test, options: PrometheusOptions = {}, directory?: string) {
  const reader: TotalsReader = prometheus({ port: 0, ...options });
  const totals = reader.openTotals([reader], {});
  const context = testContext(directory ?? folderOf(t));
  await totals.start?.(context);
  t.teardown(() => totals.stop?.());
  return { totals, context, url: urlOf(context) };
}

function urlOf(context: TestContext): string {
  const line = context.lines.find(({ message }) => message === 'metrics are served at /metrics');
  const { host, port } = (line?.fields ?? {}) as { host?: string; port?: number };
  return `http://${host}:${port}`;
}

async function deliver(totals: Totals, journal: TestJournal): Promise<void> {
  const from = (await totals.checkpoint?.()) ?? { journalId: journal.end().journalId, sequence: 0, count: 0 };
  totals.resume?.(from, journal.end());
  const batch = journal.after(from);
  if (batch !== undefined) await totals.write(batch, signal);
}

const get = (url: string, headers: Record<string, string> = {}, method = 'GET') => fetch(url, { method, headers });

t.test('a scrape shows every metric that was delivered, as the instruments say', async (t) => {
  const { totals, url } = await serve(t);
  await deliver(totals, journalOf([body()]));
  const text = await (await get(`${url}/metrics`)).text();
  const lines = new Set(text.split('\n'));
  for (const line of [
    String.raw`mcp_auth_requests_total{service="auth-server",success="true",method="jwt",server="a\"b\\c\nd",metric_type="auth_request"} 1`,
    'mcp_auth_requests_total{service="auth-server",success="false",error_code="expired",method="jwt",metric_type="auth_request"} 2',
    'mcp_tool_executions_total{service="auth-server",success="true",tool_name="search",metric_type="tool_execution"} 1',
    'mcp_tool_execution_duration_seconds_bucket{service="auth-server",success="true",tool_name="search",metric_type="tool_execution",le="0.005"} 1',
    'mcp_protocol_latency_seconds_sum{service="auth-server",flow_step="initialize_to_tools_list",metric_type="protocol_latency"} 0.3',
    'mcp_protocol_latency_seconds_bucket{service="auth-server",flow_step="initialize_to_tools_list",metric_type="protocol_latency",le="0.25"} 0',
    '# TYPE mcp_auth_requests_total counter',
    '# TYPE mcp_protocol_latency_seconds histogram',
    '# UNIT mcp_protocol_latency_seconds seconds',
    'mcp_gateway_reader_delivered{reader="prometheus"} 4',
  ]) {
    t.ok(lines.has(line), line);
  }
});

t.test(
  'promtool finds nothing to complain of',
  { skip: existsSync('/usr/bin/promtool') ? false : 'promtool is not installed' },
  async (t) => {
    const { totals, url } = await serve(t);
    await deliver(totals, journalOf([body()]));
    for (let scrape = 0; scrape < 2; scrape += 1) await (await get(`${url}/metrics`)).text();
    const text = await (await get(`${url}/metrics`)).text();
    t.equal(execFileSync('/usr/bin/promtool', ['check', 'metrics'], { input: text, encoding: 'utf8' }), '');
  },
);

t.test('OpenMetrics where the scraper asks for it, ended as it demands', async (t) => {
  const { totals, url } = await serve(t);
  await deliver(totals, journalOf([body()]));
  const response = await get(`${url}/metrics`, {
    accept: 'application/openmetrics-text;version=1.0.0,text/plain;q=0.5',
  });
  t.equal(response.headers.get('content-type'), 'application/openmetrics-text; version=1.0.0; charset=utf-8');
  const text = await response.text();
  t.ok(text.endsWith('\n# EOF\n'));
  t.match(text, /^# TYPE mcp_tool_executions counter$/m);
  t.match(text, /^mcp_tool_executions_total\{.*\} 1$/m);
  const plain = await get(`${url}/metrics`);
  t.equal(plain.headers.get('content-type'), 'text/plain; version=0.0.4; charset=utf-8');
  t.notMatch(await plain.text(), '# EOF');
});

t.test('gzip where the scraper takes it, the same text otherwise', async (t) => {
  const { totals, url } = await serve(t);
  await deliver(totals, journalOf([body()]));
  const text = async (encoding: string) => {
    const response = await get(`${url}/metrics`, { 'accept-encoding': encoding });
    const lines = (await response.text()).split('\n').filter((line) => line.startsWith('mcp_tool'));
    return { encoding: response.headers.get('content-encoding'), lines };
  };
  const plain = await text('identity');
  t.equal(plain.encoding, null);
  t.ok(plain.lines.length > 10);
  t.strictSame(await text('gzip, deflate'), { encoding: 'gzip', lines: plain.lines });
  t.equal((await text('gzip;q=0')).encoding, null);
});

t.test('HEAD has the headers alone; other methods and paths are refused', async (t) => {
  const { totals, url } = await serve(t);
  await deliver(totals, journalOf([body()]));
  const head = await get(`${url}/metrics`, { 'accept-encoding': 'identity' }, 'HEAD');
  t.equal(head.status, 200);
  t.ok(Number(head.headers.get('content-length')) > 1000);
  t.equal(await head.text(), '');
  t.equal((await get(`${url}/metrics`, {}, 'POST')).status, 405);
  t.equal((await get(`${url}/other`)).status, 404);
  t.equal((await get(`${url}/metrics?name[]=x`)).status, 200);
  t.match(await (await get(`${url}/`)).text(), /href="\/metrics"/);
});

t.test('with a bearer token, who lacks it reads nothing', async (t) => {
  const { totals, url } = await serve(t, { bearerToken: 'let-me-read' });
  await deliver(totals, journalOf([body()]));
  for (const authorization of [undefined, 'Bearer let-me-rea', 'Bearer let-me-read2', 'Basic let-me-read']) {
    const response = await get(`${url}/metrics`, authorization === undefined ? {} : { authorization });
    t.equal(response.status, 401, authorization ?? 'none');
    t.equal(response.headers.get('www-authenticate'), 'Bearer');
    t.notMatch(await response.text(), /mcp_/);
  }
  t.equal((await get(`${url}/metrics`, { authorization: 'Bearer let-me-read' })).status, 200);
});

t.test('the recorded traffic counts as its notes say', async (t) => {
  const { totals, url } = await serve(t);
  await deliver(totals, journalOf(recordedTraffic().map((text) => JSON.parse(text) as Body)));
  const text = await (await get(`${url}/metrics`)).text();
  const sum = (name: string): number =>
    [...text.matchAll(new RegExp(`^${name}\\{.*\\} (\\d+)$`, 'gm'))].reduce(
      (total, match) => total + Number(match[1]),
      0,
    );
  t.equal(sum('mcp_auth_requests_total'), RECORDED.auth_request);
  t.equal(sum('mcp_tool_executions_total'), RECORDED.tool_execution);
  t.equal(sum('mcp_protocol_latency_seconds_count'), RECORDED.protocol_latency);
  t.equal(sum('mcp_auth_request_duration_seconds_count'), RECORDED.auth_request);
});

t.test('options that make no sense are refused by name', (t) => {
  t.throws(() => prometheus({ port: 70_000 }), /prometheus\.port.*got 70000/);
  t.throws(() => prometheus({ timeoutMs: 0 }), /prometheus\.timeoutMs/);
  t.throws(() => prometheus({ bearerToken: 'short' }), /bearerToken.*got 5$/);
  t.equal(prometheus({ enabled: false }).enabled, false);
  t.end();
});
