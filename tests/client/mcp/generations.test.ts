/** The same server and the same calls with both generations of the SDK, in memory: the real SDKs on both sides. */
import { Client as Client1 } from '@modelcontextprotocol/sdk/client/index.js';
import { InMemoryTransport as InMemory1 } from '@modelcontextprotocol/sdk/inMemory.js';
import { Server as Server1 } from '@modelcontextprotocol/sdk/server/index.js';
import { McpServer as McpServer1 } from '@modelcontextprotocol/sdk/server/mcp.js';
import { ListToolsRequestSchema } from '@modelcontextprotocol/sdk/types.js';
import { Client as Client2, InMemoryTransport as InMemory2 } from '@modelcontextprotocol/client';
import { McpServer as McpServer2, Server as Server2 } from '@modelcontextprotocol/server';
import t from 'tap';
import * as z from 'zod';
import { instrumentMcpClient, instrumentMcpServer } from '../../../src/client/mcp/index.ts';
import { captureMetrics } from '../captured-metrics.ts';
import type { SentMetric } from '../stand-in-gateway.ts';

const INFO = { name: 'weather', version: '3.2.1' };
const echo = async ({ text }: { text: string }) => ({ content: [{ type: 'text' as const, text }] });
const broken = async () => {
  throw new Error('the database is down');
};
const forecast = async () => ({
  messages: [{ role: 'user' as const, content: { type: 'text' as const, text: 'Rain?' } }],
});
const note = async (uri: URL) => ({ contents: [{ uri: uri.href, text: 'a note' }] });

function generation1(held?: Promise<void>) {
  const server = new McpServer1(INFO, { capabilities: { logging: {} } });
  server.registerTool('echo', { inputSchema: { text: z.string() } }, echo);
  server.registerTool('broken', {}, broken);
  if (held !== undefined) server.registerTool('slow', {}, () => held.then(() => ({ content: [] })));
  server.registerPrompt('forecast', {}, forecast);
  server.registerResource('note', 'note://one', {}, note);
  return { server, client: new Client1({ name: 'caller', version: '9.9' }), transports: InMemory1.createLinkedPair() };
}

function generation2(held?: Promise<void>) {
  const server = new McpServer2(INFO, { capabilities: { logging: {} } });
  server.registerTool('echo', { inputSchema: z.object({ text: z.string() }) }, echo);
  server.registerTool('broken', {}, broken);
  if (held !== undefined) server.registerTool('slow', {}, () => held.then(() => ({ content: [] })));
  server.registerPrompt('forecast', {}, forecast);
  server.registerResource('note', 'note://one', {}, note);
  return { server, client: new Client2({ name: 'caller', version: '9.9' }), transports: InMemory2.createLinkedPair() };
}

/** Every kind of call, the failing ones among them. */
async function exercise(client: Client1 | Client2): Promise<unknown[]> {
  const answers: unknown[] = [];
  const ask = async (call: Promise<unknown>): Promise<void> => {
    answers.push(await call.catch((error: Error) => ({ failed: error.message })));
  };
  await ask(client.listTools());
  await ask(client.callTool({ name: 'echo', arguments: { text: 'héllo 😀' } }));
  await ask(client.callTool({ name: 'broken', arguments: {} }));
  await ask(client.callTool({ name: 'made-up', arguments: { secret: 'hunter2' } }));
  await ask(client.listPrompts());
  await ask(client.getPrompt({ name: 'forecast' }));
  await ask(client.listResources());
  await ask(client.readResource({ uri: 'note://one' }));
  await ask(client.readResource({ uri: 'note://none' }));
  await ask(client.ping());
  return answers;
}

const row = ({ dimensions, metadata }: SentMetric): unknown[] => [
  dimensions['method'],
  dimensions['tool_name'],
  dimensions['success'],
  metadata['error_code'],
];

for (const [name, make] of Object.entries({ 'SDK 1.x': generation1, 'SDK 2.x': generation2 })) {
  t.test(`${name}: a server's calls are recorded, and its answers are the same as without`, async (t) => {
    const plain = make();
    await plain.server.connect(plain.transports[0]);
    await plain.client.connect(plain.transports[1]);
    const expected = await exercise(plain.client);
    await plain.client.close();

    const { client: metricsClient, metrics } = captureMetrics();
    const { server, client, transports } = make();
    t.equal(instrumentMcpServer(server, metricsClient), server);
    instrumentMcpServer(server, metricsClient);

    // What passes the wire, for the sizes.
    const sizes: number[][] = [];
    const [, far] = transports;
    const { send } = far;
    far.send = async (message: never, options: never) => {
      if ('id' in (message as object)) sizes.push([Buffer.byteLength(JSON.stringify(message))]);
      return send.call(far, message, options);
    };
    await server.connect(transports[0]);
    await client.connect(far);
    const { onmessage } = far;
    Object.assign(far, {
      onmessage: (message: object, extra: never) => {
        if ('id' in message) sizes.at(-1)!.push(Buffer.byteLength(JSON.stringify(message)));
        onmessage?.(message as never, extra);
      },
    });
    t.strictSame(await exercise(client), expected);
    await client.close();

    const executions = await metrics('tool_execution');
    const unknownTool = name === 'SDK 1.x' ? 'tool_error' : '-32602';
    const [broken, unknownResource] = [executions[3]!, executions[9]!].map(({ metadata }) => metadata['error_code']);
    t.equal(broken, 'tool_error');
    t.match(unknownResource, /^-32\d{3}$/);
    t.strictSame(executions.map(row), [
      ['initialize', 'initialize', true, undefined],
      ['tools/list', 'tools/list', true, undefined],
      ['tools/call', 'echo', true, undefined],
      ['tools/call', 'broken', false, 'tool_error'],
      ['tools/call', '_other', false, unknownTool],
      ['prompts/list', 'prompts/list', true, undefined],
      ['prompts/get', 'prompts/get', true, undefined],
      ['resources/list', 'resources/list', true, undefined],
      ['resources/read', 'resources/read', true, undefined],
      ['resources/read', 'resources/read', false, unknownResource],
      ['ping', 'ping', true, undefined],
    ]);
    for (const { dimensions, metadata, duration_ms: duration } of executions) {
      t.match(dimensions, { server_name: 'weather', client_name: 'caller', client_version: '9.9' });
      t.match(metadata['protocol_version'], /^\d{4}-\d\d-\d\d$/);
      t.ok(duration !== undefined && duration >= 0 && duration < 5000);
    }
    t.strictSame(
      executions.slice(1).map(({ metadata }) => [metadata['input_size_bytes'], metadata['output_size_bytes']]),
      sizes.slice(1),
    );
    t.equal(new Set(executions.map(({ dimensions }) => dimensions['session_key'])).size, 1);
    t.notMatch(JSON.stringify(await metrics()), /hunter2|héllo|database is down|note:/);
    t.strictSame(
      (await metrics('protocol_latency')).map(({ dimensions }) => dimensions['flow_step']),
      ['initialize_to_tools_list', 'tools_list_to_tools_call', 'full_protocol_flow'],
    );
  });

  t.test(`${name}: a client's calls are recorded, and the answers are the same`, async (t) => {
    const { client: metricsClient, metrics } = captureMetrics();
    const { server, client, transports } = make();
    instrumentMcpClient(client, metricsClient);
    await server.connect(transports[0]);
    await client.connect(transports[1]);
    await exercise(client);
    await client.close();
    const executions = await metrics('tool_execution');
    t.equal(executions.length, 11);
    t.strictSame(executions.slice(0, 4).map(row), [
      ['initialize', 'initialize', true, undefined],
      ['tools/list', 'tools/list', true, undefined],
      ['tools/call', 'echo', true, undefined],
      ['tools/call', 'broken', false, 'tool_error'],
    ]);
    t.match(executions.at(-1)!.dimensions, { server_name: 'weather', client_name: 'caller' });
  });

  t.test(`${name}: a call that the client gives up is a time-out on both sides`, async (t) => {
    const onServer = captureMetrics();
    const onClient = captureMetrics();
    let release = (): void => {};
    const { server, client, transports } = make(new Promise((resolve) => (release = resolve)));
    instrumentMcpServer(server, onServer.client);
    instrumentMcpClient(client, onClient.client);
    await server.connect(transports[0]);
    await client.connect(transports[1]);
    const call = { name: 'slow', arguments: {} };
    if (client instanceof Client1) await t.rejects(client.callTool(call, undefined, { timeout: 50 }));
    else await t.rejects(client.callTool(call, { timeout: 50 }));
    release();
    await client.close();
    for (const { metrics } of [onServer, onClient]) {
      const slow = (await metrics('tool_execution')).find(({ dimensions }) => dimensions['method'] === 'tools/call')!;
      t.match(slow.metadata, { error_code: 'timeout', actual_tool_name: 'slow' });
      t.ok(slow.duration_ms! >= 45);
    }
  });

  t.test(`${name}: a request that the server makes is told apart`, async (t) => {
    const { client: metricsClient, metrics } = captureMetrics();
    const { server, transports } = make();
    const options = { capabilities: { roots: {} } };
    const client =
      name === 'SDK 1.x'
        ? new Client1({ name: 'c', version: '1' }, options)
        : new Client2({ name: 'c', version: '1' }, options);
    instrumentMcpServer(server, metricsClient);
    await server.connect(transports[0]);
    await client.connect(transports[1]);
    await t.rejects(server.server.listRoots(), 'this client answers with an error');
    await client.close();
    const roots = (await metrics('tool_execution')).find(({ dimensions }) => dimensions['method'] === 'roots/list')!;
    t.match(roots, { dimensions: { success: false }, metadata: { error_code: '-32601', initiator: 'server' } });
  });
}

t.test('the low-level servers of both generations work alike', async (t) => {
  const tools = [{ name: 'only', inputSchema: { type: 'object' as const } }];
  for (const generation of [1, 2]) {
    const { client: metricsClient, metrics } = captureMetrics();
    if (generation === 1) {
      const server = new Server1(INFO, { capabilities: { tools: {} } });
      server.setRequestHandler(ListToolsRequestSchema, () => ({ tools }));
      const [near, far] = InMemory1.createLinkedPair();
      await instrumentMcpServer(server, metricsClient).connect(near);
      const client = new Client1({ name: 'c', version: '1' });
      await client.connect(far);
      await client.listTools();
      await client.close();
    } else {
      const server = new Server2(INFO, { capabilities: { tools: {} } });
      server.setRequestHandler('tools/list', () => ({ tools }));
      const [near, far] = InMemory2.createLinkedPair();
      await instrumentMcpServer(server, metricsClient).connect(near);
      const client = new Client2({ name: 'c', version: '1' });
      await client.connect(far);
      await client.listTools();
      await client.close();
    }
    t.strictSame(
      (await metrics('tool_execution')).map(({ dimensions }) => [dimensions['method'], dimensions['server_name']]),
      [
        ['initialize', 'weather'],
        ['tools/list', 'weather'],
      ],
    );
  }
});

t.test('a server that is connected already is observed from there on', async (t) => {
  const { client: metricsClient, metrics } = captureMetrics();
  const { server, client, transports } = generation1();
  await server.connect(transports[0]);
  await client.connect(transports[1]);
  instrumentMcpServer(server, metricsClient);
  await client.ping();
  await client.close();
  t.strictSame(
    (await metrics('tool_execution')).map(({ dimensions }) => dimensions['method']),
    ['ping'],
  );
});
