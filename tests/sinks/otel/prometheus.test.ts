import t, { type Test } from 'tap';
import { execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import type { TotalsReader } from '../../../src/core/sink.ts';
import type { Totals } from '../../../src/core/totals.ts';
import { prometheus, type PrometheusOptions } from '../../../src/sinks/otel/prometheus.ts';
import { testContext, type TestContext } from './context.ts';
import { type Body, journalOf, type TestJournal } from './journal-of.ts';

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
  const context = testContext(directory ?? t.testdir());
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
    'mcp_auth_requests_total{service="auth-server",success="false",method="jwt",error_code="expired",metric_type="auth_request"} 2',
    'mcp_tool_executions_total{service="auth-server",tool_name="search",success="true",metric_type="tool_execution"} 1',
    'mcp_tool_execution_duration_seconds_bucket{service="auth-server",tool_name="search",success="true",metric_type="tool_execution",le="0.005"} 1',
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
