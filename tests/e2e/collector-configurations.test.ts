/**
 * Every configuration of otel-collector/ is valid, and passes metrics on. The vendors' intakes are played by a second
 * collector behind a door that notes the headers; nothing here reaches a vendor.
 */
import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync } from 'node:fs';
import { createServer, type IncomingHttpHeaders } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import t from 'tap';
import { COLLECTOR, collectorArguments, startCollector } from '../support/collector.ts';
import { PROMETHEUS, startPrometheus } from '../support/prometheus.ts';
import { sumOf } from '../support/prometheus-text.ts';
import { ROOT } from '../support/root.ts';
import { skipWithout } from '../support/tools.ts';
import { waitFor } from '../support/wait-for.ts';
import { folderOf } from '../support/folder.ts';

const skip = skipWithout(COLLECTOR, 'run otel-collector/build (needs Go)');

/** What each configuration is told of its intake, and the header that proves who sends. */
const VENDORS: Readonly<
  Record<string, { env: (intake: string) => Record<string, string>; header: string; value: string }>
> = {
  otlp: {
    env: (intake) => ({ INTAKE_ENDPOINT: intake, INTAKE_TOKEN: 'proof' }),
    header: 'authorization',
    value: 'Bearer proof',
  },
  hybrid: {
    env: (intake) => ({ INTAKE_ENDPOINT: intake, INTAKE_TOKEN: 'proof' }),
    header: 'authorization',
    value: 'Bearer proof',
  },
  datadog: {
    env: (intake) => ({ DATADOG_ENDPOINT: `${intake}/v1/metrics`, DD_API_KEY: 'proof' }),
    header: 'dd-api-key',
    value: 'proof',
  },
  'new-relic': {
    env: (intake) => ({ NEW_RELIC_ENDPOINT: intake, NEW_RELIC_LICENSE_KEY: 'proof' }),
    header: 'api-key',
    value: 'proof',
  },
  honeycomb: {
    env: (intake) => ({ HONEYCOMB_ENDPOINT: intake, HONEYCOMB_API_KEY: 'proof' }),
    header: 'x-honeycomb-team',
    value: 'proof',
  },
  'grafana-cloud': {
    env: (intake) => ({ GRAFANA_CLOUD_OTLP_ENDPOINT: intake, GRAFANA_CLOUD_AUTHORIZATION: 'proof' }),
    header: 'authorization',
    value: 'Basic proof',
  },
};

const nanoseconds = (milliseconds: number): string => `${milliseconds}000000`;

/** Pushes one cumulative counter, as the gateway does. */
async function push(url: string, total: number, startedAt: number, at: number): Promise<void> {
  const point = { asDouble: total, startTimeUnixNano: nanoseconds(startedAt), timeUnixNano: nanoseconds(at) };
  const sum = { aggregationTemporality: 2, isMonotonic: true, dataPoints: [point] };
  const metrics = [{ name: 'mcp_tool_executions_total', unit: '{execution}', sum }];
  const resource = { attributes: [{ key: 'service.name', value: { stringValue: 'mcp-metrics-service' } }] };
  const response = await fetch(`${url}/v1/metrics`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ resourceMetrics: [{ resource, scopeMetrics: [{ scope: { name: 'test' }, metrics }] }] }),
  });
  if (!response.ok) throw new Error(`the collector answered ${response.status}: ${await response.text()}`);
}

t.test('every configuration here is tested, and valid', { skip }, async (t) => {
  const names = readdirSync(join(ROOT, 'otel-collector'))
    .filter((file) => file.endsWith('.yaml') && file !== 'base.yaml' && file !== 'builder.yaml')
    .map((file) => file.slice(0, -'.yaml'.length));
  t.strictSame(names.toSorted(), [...Object.keys(VENDORS), 'prometheus', 'prometheus-remote-write'].toSorted());
  for (const name of names) {
    const env = {
      ...VENDORS[name]?.env('http://127.0.0.1:1'),
      PROMETHEUS_REMOTE_WRITE_URL: 'http://127.0.0.1:1/api/v1/write',
      QUEUE_DIRECTORY: folderOf(t),
    };
    const said = await new Promise<string>((resolve) => {
      execFile(COLLECTOR ?? '', ['validate', ...collectorArguments(name)], { env }, (error, stdout, stderr) =>
        resolve(error === null ? 'valid' : stdout + stderr),
      );
    });
    t.equal(said, 'valid', name);
  }
});

for (const [name, { env, header, value }] of Object.entries(VENDORS)) {
  t.test(`${name}.yaml brings the total to the intake, with the key`, { skip }, async (t) => {
    const folder = folderOf(t);
    const intake = await startCollector(folder, 'prometheus');
    t.teardown(() => intake.stop('SIGKILL'));
    const seen: IncomingHttpHeaders[] = [];
    const door = createServer((request, response) => {
      const chunks: Buffer[] = [];
      request.on('data', (chunk: Buffer) => chunks.push(chunk));
      request.on('end', () => {
        seen.push(request.headers);
        const { 'content-type': type = '', 'content-encoding': encoding = 'identity' } = request.headers;
        const headers = { 'content-type': type, 'content-encoding': encoding };
        fetch(`${intake.url}${request.url ?? ''}`, { method: 'POST', headers, body: Buffer.concat(chunks) }).then(
          async (answer) => response.writeHead(answer.status).end(Buffer.from(await answer.arrayBuffer())),
          () => response.writeHead(502).end(),
        );
      });
    }).listen(0, '127.0.0.1');
    await once(door, 'listening');
    t.teardown(() => door.close());
    const collector = await startCollector(
      folder,
      name,
      env(`http://127.0.0.1:${(door.address() as AddressInfo).port}`),
    );
    t.teardown(() => collector.stop('SIGKILL'));

    const startedAt = Date.now();
    await push(collector.url, 5, startedAt, startedAt + 10);
    await push(collector.url, 12, startedAt, startedAt + 20);
    const page = await waitFor(
      'the total at the intake',
      async () => {
        const text = await intake.page();
        return sumOf(text, 'mcp_tool_executions_total') === 12 && text;
      },
      { deadlineMs: 60_000, everyMs: 100 },
    ).catch((error: unknown) => {
      throw new Error(`${collector.output()}\n${intake.output()}`, { cause: error });
    });
    t.match(page, /mcp_tool_executions_total/);
    t.equal(seen[0]?.[header], value, header);
    if (name === 'hybrid')
      t.equal(sumOf(await collector.page(), 'mcp_tool_executions_total'), 12, 'and on its own page');
  });
}

t.test(
  'prometheus-remote-write.yaml brings the total to Prometheus',
  {
    skip: skip || skipWithout(PROMETHEUS, 'Debian’s package prometheus'),
  },
  async (t) => {
    const folder = folderOf(t);
    const prometheus = await startPrometheus(folder, [], ['--web.enable-remote-write-receiver']);
    t.teardown(() => prometheus.stop('SIGKILL'));
    const collector = await startCollector(folder, 'prometheus-remote-write', {
      PROMETHEUS_REMOTE_WRITE_URL: `${prometheus.url}/api/v1/write`,
    });
    t.teardown(() => collector.stop('SIGKILL'));
    const startedAt = Date.now();
    await push(collector.url, 12, startedAt, startedAt + 10);
    const total = await waitFor(
      'the total in Prometheus',
      async () => (await prometheus.query('sum(mcp_tool_executions_total)'))[0]?.value,
      { deadlineMs: 60_000, everyMs: 100 },
    ).catch((error: unknown) => {
      throw new Error(collector.output(), { cause: error });
    });
    t.equal(total, 12);
  },
);
