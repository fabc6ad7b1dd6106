/** A real OpenTelemetry Collector takes the gateway's OTLP push and shows the same totals as the gateway itself. */
import t from 'tap';
import { COLLECTOR, startCollector } from '../support/collector.ts';
import { startGateway } from '../support/gateway.ts';
import { sumOf } from '../support/prometheus-text.ts';
import { skipWithout } from '../support/tools.ts';
import { RECORDED, recordedTraffic, replay } from '../support/traffic.ts';
import { waitFor } from '../support/wait-for.ts';
import { folderOf } from '../support/folder.ts';

const skip = skipWithout(COLLECTOR, 'run otel-collector/build (needs Go)');

t.test('the collector shows the totals of the recorded traffic', { skip }, async (t) => {
  const folder = folderOf(t);
  const collector = await startCollector(folder, 'prometheus');
  t.teardown(() => collector.stop('SIGKILL'));
  const gateway = await startGateway({
    dataDirectory: folder,
    env: { OTEL_EXPORTER_OTLP_ENDPOINT: collector.url, OTEL_METRIC_EXPORT_INTERVAL: '500' },
  });
  t.teardown(() => gateway.stop('SIGKILL'));
  const answers = await replay(gateway.url, gateway.key, recordedTraffic());
  t.ok(answers.every(({ status }) => status === 200));

  const page = await waitFor(
    'the collector to count every metric',
    async () => {
      const text = await collector.page();
      return sumOf(text, 'mcp_protocol_latency_seconds_count') === RECORDED.protocol_latency && text;
    },
    { deadlineMs: 60_000, everyMs: 100 },
  );
  t.equal(sumOf(page, 'mcp_tool_executions_total'), RECORDED.tool_execution, 'mcp_tool_executions_total');
  t.equal(sumOf(page, 'mcp_auth_requests_total'), RECORDED.auth_request, 'mcp_auth_requests_total');
  const own = await gateway.scrape();
  for (const name of ['mcp_tool_execution_duration_seconds_sum', 'mcp_protocol_latency_seconds_sum']) {
    const [here, there] = [sumOf(own, name) ?? 0, sumOf(page, name) ?? 0];
    t.ok(
      here > 0 && Math.abs(here - there) < here * 1e-9,
      `${name}: ${here} at the gateway, ${there} at the collector`,
    );
  }
});
