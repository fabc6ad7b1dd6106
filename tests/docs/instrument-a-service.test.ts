/** The examples of docs/instrument-a-service.md, each run as it stands there. */
import { join } from 'node:path';
import { Client as Client1 } from '@modelcontextprotocol/sdk/client/index.js';
import { StdioClientTransport } from '@modelcontextprotocol/sdk/client/stdio.js';
import t from 'tap';
import { startStandIn, type SentMetric, type StandInGateway } from '../client/stand-in-gateway.ts';
import { type Child, startChild } from '../support/child.ts';
import { freePort } from '../support/free-port.ts';
import { plainNode } from '../support/plain-node.ts';
import { ROOT } from '../support/root.ts';
import { waitFor } from '../support/wait-for.ts';

const program = (name: string): [string, string[]] =>
  plainNode('--conditions=mcp-metrics-source', join(ROOT, 'tests/docs/instrument', name));

const environment = (gateway: StandInGateway, more: Record<string, string> = {}): Record<string, string> => ({
  METRICS_SERVICE_URL: gateway.url,
  METRICS_API_KEY: 'from-the-environment',
  OTEL_SERVICE_NAME: 'example',
  ...more,
});

/** What arrives, without what differs from run to run. */
const shapes = (metrics: readonly SentMetric[]) =>
  metrics.map(({ type, dimensions, metadata }) => ({ type, dimensions, metadata }));

interface Example {
  readonly url: string;
  readonly child: Child;
  /** So many metrics. */
  readonly arrived: (count: number) => Promise<ReturnType<typeof shapes>>;
}

async function start(
  t: { teardown: (end: () => unknown) => void },
  name: string,
  more: Record<string, string> = {},
): Promise<Example> {
  const gateway = await startStandIn();
  const port = await freePort();
  const [command, args] = program(name);
  const child = await startChild(command, args, { env: environment(gateway, { PORT: String(port), ...more }) });
  t.teardown(async () => {
    await child.stop('SIGKILL');
    await gateway.close();
  });
  return {
    url: `http://127.0.0.1:${port}`,
    child,
    arrived: (count) => waitFor(`${count} metrics`, () => gateway.accepted.length >= count && shapes(gateway.accepted)),
  };
}

const answer = async (url: string, init?: RequestInit): Promise<number> => {
  const response = await waitFor('the service', () => fetch(url, init));
  await response.text();
  return response.status;
};

t.test('client.ts', async (t) => {
  const { child, arrived } = await start(t, 'client.ts');
  t.strictSame(await child.exited, { code: 0, signal: null });
  t.strictSame(
    (await arrived(3)).map(({ type, dimensions }) => [
      type,
      dimensions['tool_name'] ?? dimensions['endpoint'] ?? dimensions['metric_name'],
    ]),
    [
      ['tool_execution', 'get_forecast'],
      ['health_check', '/mcp'],
      ['custom', 'forecast_cache_lookups'],
    ],
  );
});

for (const name of ['hono.ts', 'node.ts']) {
  t.test(name, async (t) => {
    const { url, arrived } = await start(t, name);
    const headers = { 'X-Original-URL': 'https://gateway.example/weather/mcp', authorization: 'Bearer let-me-in' };
    t.equal(await answer(`${url}/validate`, { headers }), 200);
    t.equal(await answer(`${url}/validate`), 401);
    t.match(await arrived(2), [
      {
        type: 'auth_request',
        dimensions: { success: true, method: 'jwt', server: 'weather', user_hash: /^[0-9a-f]{12}$/ },
      },
      { type: 'auth_request', dimensions: { success: false }, metadata: { error_code: '401' } },
    ]);
  });
}

t.test('express.ts', async (t) => {
  const { url, arrived } = await start(t, 'express.ts');
  t.equal(await answer(`${url}/api/servers/42`), 200);
  t.equal(await answer(`${url}/api/search?query=what%20time`), 200);
  t.match(await arrived(2), [
    {
      type: 'registry_operation',
      dimensions: { operation: 'read', resource_type: 'servers', success: true, resource_id: '42' },
    },
    {
      type: 'tool_discovery',
      dimensions: { query: 'what time', results_count: 2 },
      metadata: { embedding_time_ms: 3.1, faiss_search_time_ms: 0.4 },
    },
  ]);
});

t.test('fastify.ts', async (t) => {
  const { url, arrived } = await start(t, 'fastify.ts');
  t.equal(await answer(`${url}/auth/weather`, { headers: { session: 's' } }), 200);
  t.equal(await answer(`${url}/auth/weather`), 401);
  t.equal(await answer(`${url}/elsewhere`), 404);
  t.match(await arrived(2), [
    { dimensions: { success: true, method: 'session', server: 'weather' } },
    { dimensions: { success: false, method: 'session', server: 'weather' } },
  ]);
});

t.test('koa.ts', async (t) => {
  const { url, arrived } = await start(t, 'koa.ts');
  t.equal(await answer(`${url}/agents`, { method: 'POST' }), 201);
  t.match(await arrived(1), [{ dimensions: { operation: 'create', resource_type: 'agent', success: true } }]);
});

t.test('mcp-server-1.ts', async (t) => {
  const gateway = await startStandIn();
  t.teardown(() => gateway.close());
  const [command, args] = program('mcp-server-1.ts');
  const client = new Client1({ name: 'docs', version: '1' });
  await client.connect(
    new StdioClientTransport({ command, args, env: { PATH: process.env['PATH']!, ...environment(gateway) } }),
  );
  await client.callTool({ name: 'add', arguments: { a: 1, b: 2 } });
  await client.close();
  await waitFor('the metrics', () => gateway.accepted.length >= 3);
  t.match(
    shapes(gateway.accepted).filter(({ type }) => type === 'tool_execution'),
    [
      { dimensions: { method: 'initialize', server_name: 'calculator', client_name: 'docs' } },
      { dimensions: { method: 'tools/call', tool_name: 'add', success: true } },
    ],
  );
});

t.test('mcp-server-2.ts and mcp-client.ts', async (t) => {
  const server = await start(t, 'mcp-server-2.ts');
  await answer(server.url);
  const client = await start(t, 'mcp-client.ts', { MCP_URL: `${server.url}/mcp` });
  t.strictSame(await client.child.exited, { code: 0, signal: null });
  t.match(client.child.output(), /"text":"3"/);
  const calls = ['server/discover', 'tools/list', 'tools/call'];
  const methods = (metrics: ReturnType<typeof shapes>): unknown[] =>
    metrics.filter(({ type }) => type === 'tool_execution').map(({ dimensions }) => dimensions['method']);
  t.strictSame(methods(await server.arrived(3)), calls);
  t.strictSame(methods(await client.arrived(6)), calls);
});

t.test('opentelemetry.ts', async (t) => {
  const { child, arrived } = await start(t, 'opentelemetry.ts');
  t.strictSame(await child.exited, { code: 0, signal: null });
  t.match(child.output(), /mcp\.server\.operation\.duration/);
  t.match(child.output(), /mcp\.server\.session\.duration/);
  t.match(
    (await arrived(3)).filter(({ type }) => type === 'tool_execution'),
    [{ dimensions: { method: 'initialize' } }, { dimensions: { tool_name: 'pi' } }],
  );
});

t.test('edge-worker.ts', async (t) => {
  const gateway = await startStandIn();
  t.teardown(() => gateway.close());
  const { default: worker } = await import('./instrument/edge-worker.ts');
  const work: Promise<unknown>[] = [];
  const bindings = { METRICS_SERVICE_URL: gateway.url, METRICS_API_KEY: 'edge' };
  const response = worker.fetch(new Request('http://edge/x'), bindings, { waitUntil: (promise) => work.push(promise) });
  t.equal(await response.text(), 'hello from /x');
  await Promise.all(work);
  t.match(shapes(gateway.accepted), [{ type: 'custom', dimensions: { metric_name: 'edge_requests' } }]);
});
