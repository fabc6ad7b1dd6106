/** SDK 1.0 to 1.12 put their handlers in place of those that a transport has: the first and the last of them. */
import { createServer } from 'node:http';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { Client as Client0 } from '@modelcontextprotocol/sdk-1.0/client/index.js';
import { InMemoryTransport as InMemory0 } from '@modelcontextprotocol/sdk-1.0/inMemory.js';
import { Server as Server0 } from '@modelcontextprotocol/sdk-1.0/server/index.js';
import {
  CallToolRequestSchema as CallTool0,
  ListToolsRequestSchema as ListTools0,
} from '@modelcontextprotocol/sdk-1.0/types.js';
import { Client as Client12 } from '@modelcontextprotocol/sdk-1.12/client/index.js';
import { StreamableHTTPClientTransport as HttpClient12 } from '@modelcontextprotocol/sdk-1.12/client/streamableHttp.js';
import { InMemoryTransport as InMemory12 } from '@modelcontextprotocol/sdk-1.12/inMemory.js';
import { Server as Server12 } from '@modelcontextprotocol/sdk-1.12/server/index.js';
import { StreamableHTTPServerTransport as HttpServer12 } from '@modelcontextprotocol/sdk-1.12/server/streamableHttp.js';
import type { Transport as Transport12 } from '@modelcontextprotocol/sdk-1.12/shared/transport.js';
import {
  CallToolRequestSchema as CallTool12,
  ListToolsRequestSchema as ListTools12,
} from '@modelcontextprotocol/sdk-1.12/types.js';
import t from 'tap';
import { instrumentMcpClient, instrumentMcpServer } from '../../../src/client/mcp/index.ts';
import { waitFor } from '../../support/wait-for.ts';
import { captureMetrics } from '../captured-metrics.ts';
import type { SentMetric } from '../stand-in-gateway.ts';

const INFO = { name: 'old', version: '0.1' };
const CAPABILITIES = { capabilities: { tools: {} } };
const tools = ['echo', 'slow'].map((name) => ({ name, inputSchema: { type: 'object' as const } }));
/** These SDKs keep a process until a request's time is over, though its connection is closed. */
const PATIENCE = { timeout: 10_000 };
const content = [{ type: 'text' as const, text: 'fine' }];
/** `slow` is not answered. */
const answer = async (name: string) => (name === 'slow' ? new Promise<never>(() => {}) : { content });

function server0(): Server0 {
  const server = new Server0(INFO, CAPABILITIES);
  server.setRequestHandler(ListTools0, async () => ({ tools }));
  server.setRequestHandler(CallTool0, ({ params }) => answer(params.name));
  return server;
}

function server12(): Server12 {
  const server = new Server12(INFO, CAPABILITIES);
  server.setRequestHandler(ListTools12, async () => ({ tools }));
  server.setRequestHandler(CallTool12, ({ params }) => answer(params.name));
  return server;
}

interface Parts {
  readonly server: Server12;
  readonly client: Client12;
  readonly pair: readonly [InMemory12, InMemory12];
}

const OLD: Readonly<Record<string, () => Parts>> = {
  '1.0.4': () => {
    const client = new Client0(INFO, { capabilities: {} });
    // What is called here they have in common.
    return { server: server0(), client, pair: InMemory0.createLinkedPair() } as unknown as Parts;
  },
  '1.12.3': () => ({ server: server12(), client: new Client12(INFO), pair: InMemory12.createLinkedPair() }),
};

const rows = (metrics: readonly SentMetric[]): unknown[] =>
  metrics.map(({ dimensions, metadata }) => [
    dimensions['tool_name'],
    dimensions['server_name'],
    dimensions['client_name'],
    metadata['error_code'],
  ]);

/** Lists, calls, and closes with a call open. */
async function exercise({ server, client, pair }: Parts): Promise<unknown[]> {
  const seen: unknown[] = [];
  Object.assign(server, { onclose: () => seen.push('server closed') });
  Object.assign(client, { onclose: () => seen.push('client closed') });
  await server.connect(pair[0]);
  await client.connect(pair[1]);
  seen.push(await client.listTools(), await client.callTool({ name: 'echo', arguments: {} }));
  const slow = client
    .callTool({ name: 'slow', arguments: {} }, undefined, PATIENCE)
    .catch((error: Error) => seen.push(error.message));
  await client.close();
  await slow;
  return seen;
}

for (const [version, make] of Object.entries(OLD)) {
  t.test(`SDK ${version}: calls are recorded on both sides, and an end with requests open ends them`, async (t) => {
    const [onServer, onClient] = [captureMetrics(), captureMetrics()];
    const parts = make();
    instrumentMcpServer(parts.server, onServer.client);
    instrumentMcpClient(parts.client, onClient.client);
    t.strictSame(await exercise(parts), await exercise(make()), 'the SDK does what it does without');
    for (const { metrics } of [onServer, onClient]) {
      t.strictSame(rows(await metrics('tool_execution')), [
        ['initialize', 'old', 'old', undefined],
        ['tools/list', 'old', 'old', undefined],
        ['echo', 'old', 'old', undefined],
        ['slow', 'old', 'old', 'connection_closed'],
      ]);
      t.equal((await metrics('protocol_latency')).length, 3);
    }
  });
}

t.test('SDK 1.12.3: a session over Streamable HTTP is recorded, its end with a request open too', async (t) => {
  const { client: metricsClient, metrics } = captureMetrics();
  const transport = new HttpServer12({ sessionIdGenerator: () => 'a-session' });
  const server = instrumentMcpServer(server12(), metricsClient);
  await server.connect(transport as Transport12);
  const http = createServer((request, response) => {
    transport.handleRequest(request, response).catch(() => response.destroy());
  });
  http.listen(0, '127.0.0.1');
  await once(http, 'listening');
  t.teardown(() => {
    http.closeAllConnections();
    http.close();
  });
  const client = new Client12(INFO);
  const url = new URL(`http://127.0.0.1:${(http.address() as AddressInfo).port}/mcp`);
  await client.connect(new HttpClient12(url) as Transport12);
  await client.listTools();
  await client.callTool({ name: 'echo', arguments: {} });
  const slow = t.rejects(client.callTool({ name: 'slow', arguments: {} }, undefined, PATIENCE));
  // Over HTTP requests arrive each on its own: a later one that is answered shows that this one is there.
  await client.ping();
  await client.listTools();
  await server.close();
  await client.close();
  await slow;
  const executions = await waitFor('the end', async () => {
    const found = await metrics('tool_execution');
    return found.some(({ metadata }) => metadata['error_code'] === 'connection_closed') && found;
  });
  const failed = executions.filter(({ dimensions }) => dimensions['success'] === false);
  t.strictSame(rows(failed), [['slow', 'old', 'old', 'connection_closed']]);
  t.equal(new Set(executions.map(({ dimensions }) => dimensions['session_key'])).size, 1);
});
