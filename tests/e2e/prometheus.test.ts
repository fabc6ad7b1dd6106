/** A real Prometheus scrapes a gateway that took the recorded traffic, and answers PromQL about it. */
import { spawnSync } from 'node:child_process';
import t from 'tap';
import { startGateway } from '../support/gateway.ts';
import { PROMETHEUS, PROMTOOL, startPrometheus } from '../support/prometheus.ts';
import { skipWithout } from '../support/tools.ts';
import { RECORDED, recordedDurations, recordedTraffic, replay } from '../support/traffic.ts';
import { waitFor } from '../support/wait-for.ts';
import { folderOf } from '../support/folder.ts';

const skip = skipWithout(PROMETHEUS && PROMTOOL, 'Debian’s package prometheus (prometheus and promtool)');

t.test('Prometheus answers questions about the recorded traffic', { skip }, async (t) => {
  const folder = folderOf(t);
  const gateway = await startGateway({ dataDirectory: folder });
  t.teardown(() => gateway.stop('SIGKILL'));
  const answers = await replay(gateway.url, gateway.key, recordedTraffic());
  t.ok(answers.every(({ status }) => status === 200));
  const prometheus = await startPrometheus(folder, [new URL(gateway.scrapeUrl).host]);
  t.teardown(() => prometheus.stop('SIGKILL'));
  const valueOf = async (promql: string): Promise<number | undefined> => (await prometheus.query(promql))[0]?.value;
  await waitFor(
    'a scrape that counts every metric',
    async () => (await valueOf('sum(mcp_protocol_latency_seconds_count)')) === RECORDED.protocol_latency,
    { deadlineMs: 60_000, everyMs: 200 },
  );

  t.equal(await valueOf('sum(mcp_tool_executions_total)'), RECORDED.tool_execution, 'sum(mcp_tool_executions_total)');
  t.equal(await valueOf('sum(mcp_auth_requests_total)'), RECORDED.auth_request, 'sum(mcp_auth_requests_total)');
  t.equal(await valueOf('up{job="gateway"}'), 1, 'the target is up');

  await t.test('quantiles lie in the bucket of the exact ones', async (t) => {
    const { boundaries, quantile } = recordedDurations('tool_execution');
    for (const q of [0.5, 0.95, 0.99]) {
      const estimate = await valueOf(
        `histogram_quantile(${q}, sum by (le) (mcp_tool_execution_duration_seconds_bucket))`,
      );
      const exact = quantile(q);
      const upper = boundaries.find((boundary) => exact <= boundary) ?? Infinity;
      const lower = boundaries.findLast((boundary) => boundary < exact) ?? 0;
      t.ok(
        estimate !== undefined && estimate >= lower && estimate <= upper,
        `p${q * 100}: ${estimate} within ${lower}–${upper}, exact ${exact}`,
      );
    }
  });

  await t.test('existing dashboards find their labels', async (t) => {
    const series = await prometheus.query('sum by (service, metric_type) (mcp_tool_executions_total)');
    t.match(series, [
      { labels: { service: 'auth-server', metric_type: 'tool_execution' }, value: RECORDED.tool_execution },
    ]);
    const byMethod = await prometheus.query('sum by (method) (mcp_auth_requests_total)');
    t.equal(
      byMethod.reduce((sum, { value }) => sum + value, 0),
      RECORDED.auth_request,
    );
    t.ok(
      byMethod.some(({ labels }) => labels['method'] === 'oauth'),
      'method="oauth"',
    );
    const secrets = await prometheus.query('{user_hash!=""} or {session_key!=""} or {query!=""}');
    t.strictSame(secrets, [], 'no user hash, session key or free text became a label');
  });

  await t.test('promtool finds nothing to complain of', async (t) => {
    const { status, stdout, stderr } = spawnSync(PROMTOOL ?? '', ['check', 'metrics'], {
      input: await gateway.scrape(),
      encoding: 'utf8',
    });
    t.strictSame({ status, output: stdout + stderr }, { status: 0, output: '' });
  });
});
