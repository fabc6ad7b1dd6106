/** A real emitter's traffic over real HTTP: every metric is accepted, and found again in SQLite and on the Prometheus page. */
import Database from 'better-sqlite3';
import t from 'tap';
import { startGateway } from '../support/gateway.ts';
import { sumOf } from '../support/prometheus-text.ts';
import { RECORDED, recordedTraffic, replay } from '../support/traffic.ts';
import { waitFor } from '../support/wait-for.ts';
import { folderOf } from '../support/folder.ts';

t.test('the recorded traffic arrives whole', async (t) => {
  const gateway = await startGateway({ dataDirectory: folderOf(t) });
  t.teardown(() => gateway.stop('SIGKILL'));
  const answers = await replay(gateway.url, gateway.key, recordedTraffic());

  t.equal(answers.length, RECORDED.requests, 'every request was answered');
  t.strictSame(
    [...new Set(answers.map(({ status }) => status))],
    [200],
    'existing emitters take exactly 200 as success',
  );
  const receipts = answers.map(
    ({ body }) => JSON.parse(body) as { status: string; accepted: number; rejected: number },
  );
  t.equal(
    receipts.reduce((sum, { accepted }) => sum + accepted, 0),
    RECORDED.metrics,
    'metrics accepted',
  );
  t.ok(
    receipts.every(({ status, rejected }) => status === 'success' && rejected === 0),
    'and none rejected',
  );

  await t.test('SQLite has every metric once, in the table of its type', async (t) => {
    await gateway.flush();
    const database = new Database(gateway.databasePath, { readonly: true });
    const count = (table: string): unknown => database.prepare(`SELECT count(*) FROM ${table}`).pluck().get();
    t.equal(count('metrics'), RECORDED.metrics, 'metrics');
    t.equal(count('auth_metrics'), RECORDED.auth_request, 'auth_metrics');
    t.equal(count('tool_metrics'), RECORDED.tool_execution, 'tool_metrics');
    t.equal(count('protocol_metrics'), RECORDED.protocol_latency, 'protocol_metrics');
    t.equal(count('discovery_metrics'), 0, 'discovery_metrics');
    database.close();
  });

  await t.test('the Prometheus page has the same totals', async (t) => {
    const page = await waitFor('the page to count every metric', async () => {
      const text = await gateway.scrape();
      return sumOf(text, 'mcp_protocol_latency_seconds_count') === RECORDED.protocol_latency && text;
    });
    t.equal(sumOf(page, 'mcp_auth_requests_total'), RECORDED.auth_request, 'mcp_auth_requests_total');
    t.equal(sumOf(page, 'mcp_auth_request_duration_seconds_count'), RECORDED.auth_request, 'its durations');
    t.equal(sumOf(page, 'mcp_tool_executions_total'), RECORDED.tool_execution, 'mcp_tool_executions_total');
    t.equal(sumOf(page, 'mcp_tool_execution_duration_seconds_count'), RECORDED.tool_execution, 'its durations');
  });

  await t.test('the books balance', async (t) => {
    const page = await gateway.scrape();
    const total = (name: string): number => sumOf(page, name) ?? 0;
    t.equal(total('mcp_gateway_metrics_received_total'), RECORDED.metrics, 'received');
    t.equal(
      total('mcp_gateway_metrics_received_total'),
      total('mcp_gateway_metrics_accepted_total') +
        total('mcp_gateway_metrics_rejected_total') +
        total('mcp_gateway_metrics_dropped_total') +
        total('mcp_gateway_metrics_refused_total') +
        total('mcp_gateway_metrics_replayed_total') +
        total('mcp_gateway_metrics_in_flight'),
      'received = accepted + rejected + dropped + refused + replayed + in flight',
    );
  });

  await t.test('SIGTERM ends it with 0 within 10 seconds', async (t) => {
    const began = performance.now();
    t.strictSame(await gateway.stop('SIGTERM'), { code: 0, signal: null });
    t.ok(performance.now() - began < 10_000);
  });
});
