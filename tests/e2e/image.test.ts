/**
 * deploy/Dockerfile built, and deploy/compose.yaml started, by a real container engine. Base images are stand-ins (see
 * tests/support/containers.ts): what is proven is the project's own steps and files, not the published Node or Prometheus image.
 */
import t from 'tap';
import { buildImage, skipContainers, standInForNode, startEngine } from '../support/containers.ts';
import { PROMETHEUS } from '../support/prometheus.ts';
import { collectorPath, skipWithout } from '../support/tools.ts';
import { waitFor } from '../support/wait-for.ts';

const skip = skipContainers || skipWithout(PROMETHEUS, 'Debian’s package prometheus');
const IMAGE = 'localhost/mcp-metrics-gateway:latest';
// An address of its own: the ports of the compose file are fixed, and may be in use.
const HOST = '127.0.0.83';
const collector = collectorPath();

interface Inspected {
  readonly State: { readonly ExitCode: number; readonly Status: string; readonly StartedAt: string };
  readonly Config: { readonly User: string; readonly Healthcheck?: { readonly Test: readonly string[] } };
  readonly HostConfig: { readonly ReadonlyRootfs: boolean; readonly Memory: number };
  readonly NetworkSettings: { readonly Networks: Readonly<Record<string, { readonly IPAddress: string }>> };
}

t.test('the image and the compose file, run', { skip, timeout: 600_000 }, async (t) => {
  const engine = startEngine({
    GATEWAY_IMAGE: IMAGE,
    METRICS_SERVICE_BIND: HOST,
    ...(collector === undefined
      ? undefined
      : { OTEL_OTLP_ENDPOINT: 'http://otel-collector:4318', OTEL_METRIC_EXPORT_INTERVAL: '1000' }),
  });
  t.teardown(() => engine.stop());
  const inspect = async (service: string): Promise<Inspected> =>
    (JSON.parse(await engine.podman('inspect', `mcp-metrics_${service}_1`)) as Inspected[])[0]!;
  const inService = (...command: string[]): Promise<string> =>
    engine.podman('exec', 'mcp-metrics_metrics-service_1', ...command);

  await standInForNode(engine);
  await buildImage(engine, IMAGE);

  await t.test('what is in it', async (t) => {
    const [image] = JSON.parse(await engine.podman('image', 'inspect', IMAGE)) as {
      Config: Record<string, unknown>;
      Size: number;
    }[];
    t.match(image?.Config, { User: '1000:1000', Entrypoint: ['mcp-metrics'], Cmd: ['start'] });
    const listed = await engine.podman(
      'run', '--rm', '--network=none', '--no-healthcheck', '--entrypoint=ls', IMAGE, '/app', '/app/node_modules', '/app/dist',
    ); // prettier-ignore
    for (const wanted of ['LICENSE', 'drizzle', 'better-sqlite3', 'hono', 'pipeline.config.js']) {
      t.match(listed, new RegExp(`^${wanted}$`, 'm'));
    }
    for (const left of ['src', 'tests', 'typescript', 'tap', 'node']) t.notMatch(listed, new RegExp(`^${left}$`, 'm'));
  });

  await engine.compose('up', '-d', '--no-build', 'metrics-service');
  await t.test(
    'metrics-db makes the database and ends, then the gateway starts, as compose.yaml confines it',
    async (t) => {
      const service = await inspect('metrics-service');
      const database = await waitFor('metrics-db to have ended', async () => {
        const found = await inspect('metrics-db');
        return found.State.Status === 'exited' && found;
      });
      t.equal(database.State.ExitCode, 0);
      t.match(await engine.podman('logs', 'mcp-metrics_metrics-db_1'), /applied 0000_tables\.sql/);
      t.ok(database.State.StartedAt < service.State.StartedAt, 'in this order');
      t.equal(service.HostConfig.ReadonlyRootfs, true);
      t.equal(service.HostConfig.Memory, 512 * 1024 * 1024);
      await waitFor('the gateway to be ready', async () => (await fetch(`http://${HOST}:8890/readyz`)).ok, {
        deadlineMs: 60_000,
      });
      const check = service.Config.Healthcheck?.Test ?? [];
      t.strictSame(check, ['CMD', 'mcp-metrics', 'health']);
      await t.resolves(inService(...check.slice(1)), 'the health check says yes');
      await t.rejects(
        inService('env', 'SQLITE_DB_PATH=/tmp/none.db', 'mcp-metrics', 'health'),
        'and no where none runs',
      );
      t.equal((await inService('id', '-u')).trim(), '1000');
      await t.rejects(inService('sh', '-c', 'echo x > /app/x'), /Read-only file system/);
    },
  );

  await t.test('a key made in the container opens the gateway, and what it takes outlives the container', async (t) => {
    const key = (await inService('mcp-metrics', 'keys', 'create', '--service', 'my-service')).trim();
    const post = (): Promise<Response> =>
      fetch(`http://${HOST}:8890/metrics`, {
        method: 'POST',
        headers: { 'x-api-key': key, 'content-type': 'application/json' },
        body: JSON.stringify({
          service: 'my-service',
          metrics: [{ type: 'custom', value: 1, dimensions: { metric_name: 'a' } }],
        }),
      });
    t.equal((await post()).status, 200);
    await engine.podman('stop', 'mcp-metrics_metrics-service_1');
    t.equal((await inspect('metrics-service')).State.ExitCode, 0, 'it stops in good order');
    await engine.podman('start', 'mcp-metrics_metrics-service_1');
    await waitFor('the gateway to be back', async () => (await post()).status === 200, { deadlineMs: 60_000 });
    await waitFor(
      'both metrics on the page',
      async () => /^mcp_custom_total\{.*\} 2$/m.test(await (await fetch(`http://${HOST}:9465/metrics`)).text()),
      { deadlineMs: 60_000 },
    );
  });

  await t.test('Prometheus of the compose file scrapes it by name, with the rules; demo makes traffic', async (t) => {
    await engine.standIn('docker.io/prom/prometheus:v3.5.0', ['prometheus'], ['ENTRYPOINT ["prometheus"]']);
    await engine.compose('--profile', 'demo', 'up', '-d', '--no-build', 'prometheus', 'demo');
    const ask = async (path: string): Promise<unknown> => (await fetch(`http://127.0.0.1:9090/api/v1/${path}`)).json();
    await waitFor(
      'the demo’s tool calls in Prometheus',
      async () => {
        const query = new URLSearchParams({ query: 'sum(mcp_tool_executions_total{service="demo"}) > 0' });
        return ((await ask(`query?${query.toString()}`)) as { data: { result: unknown[] } }).data.result.length > 0;
      },
      { deadlineMs: 60_000, everyMs: 500 },
    ).catch(async (error: unknown) => {
      throw new Error(await engine.podman('logs', 'mcp-metrics_demo_1'), { cause: error });
    });
    const { data } = (await ask('rules')) as {
      data: { groups: { rules: { health: string; lastError?: string }[] }[] };
    };
    const rules = data.groups.flatMap((group) => group.rules);
    t.ok(rules.length >= 16);
    t.strictSame(
      rules.flatMap(({ lastError = '' }) => (lastError === '' ? [] : [lastError])),
      [],
      'no rule fails',
    );
  });

  await t.test(
    'the profile otel: the gateway pushes to the collector of the compose file',
    { skip: skipWithout(collector, 'run otel-collector/build (needs Go)') },
    async (t) => {
      await engine.standIn(
        'docker.io/otel/opentelemetry-collector-contrib:0.155.0',
        [collector ?? ''],
        ['ENTRYPOINT ["otelcol"]'],
      );
      await engine.compose('--profile', 'otel', 'up', '-d', '--no-build', 'otel-collector');
      const { NetworkSettings, ...confined } = await inspect('otel-collector');
      const [network] = Object.values(NetworkSettings.Networks);
      await waitFor(
        'the totals on the page of the collector',
        async () =>
          /^mcp_tool_executions_total\{/m.test(await (await fetch(`http://${network?.IPAddress}:8889/metrics`)).text()),
        { deadlineMs: 60_000, everyMs: 200 },
      ).catch(async (error: unknown) => {
        throw new Error(await engine.podman('logs', 'mcp-metrics_otel-collector_1'), { cause: error });
      });
      t.match(confined, { State: { Status: 'running' }, HostConfig: { ReadonlyRootfs: true } });
    },
  );
});
