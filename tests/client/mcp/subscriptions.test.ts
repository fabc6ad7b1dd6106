/** `subscriptions/listen` of protocol 2026-07-28 with the real SDK over HTTP: a stream that its caller ends is no failure. */
import { Client, StreamableHTTPClientTransport } from '@modelcontextprotocol/client';
import { createMcpHandler, McpServer } from '@modelcontextprotocol/server';
import t, { type Test } from 'tap';
import { instrumentMcpClient } from '../../../src/client/mcp/index.ts';
import { captureMetrics } from '../captured-metrics.ts';
import { serveHandler } from './serve-handler.ts';

/** A server that takes one subscription at a time, and an instrumented client of it. */
async function connect(t: Test) {
  const { client: metricsClient, metrics } = captureMetrics();
  const handler = createMcpHandler(
    () => {
      const server = new McpServer(
        { name: 'subscribed', version: '1' },
        { capabilities: { tools: { listChanged: true } } },
      );
      server.registerTool('ok', {}, async () => ({ content: [] }));
      return server;
    },
    { maxSubscriptions: 1 },
  );
  const client = new Client({ name: 'listener', version: '1' }, { versionNegotiation: { mode: 'auto' } });
  instrumentMcpClient(client, metricsClient);
  await client.connect(new StreamableHTTPClientTransport(await serveHandler(t, handler)));
  return {
    client,
    handler,
    listens: async () =>
      (await metrics('tool_execution'))
        .filter(({ dimensions }) => dimensions['method'] === 'subscriptions/listen')
        .map(({ dimensions, metadata }) => [dimensions['success'], metadata['error_code']]),
  };
}

t.test('a subscription that its caller closes has succeeded, once', async (t) => {
  const { client, listens } = await connect(t);
  const subscription = await client.listen({ toolsListChanged: true });
  t.strictSame(await listens(), [[true, undefined]], 'known as soon as it stands');
  await subscription.close();
  await client.listTools();
  await client.close();
  t.strictSame(await listens(), [[true, undefined]]);
});

t.test('a subscription that is open when its client or its server closes has succeeded, once', async (t) => {
  const [leaving, left] = [await connect(t), await connect(t)];
  await leaving.client.listen({ toolsListChanged: true });
  await leaving.client.close();
  t.strictSame(await leaving.listens(), [[true, undefined]]);

  const { closed } = await left.client.listen({ toolsListChanged: true });
  await left.handler.close();
  await closed;
  await left.client.close();
  t.strictSame(await left.listens(), [[true, undefined]]);
});

t.test('a subscription that the server refuses has failed', async (t) => {
  const { client, listens } = await connect(t);
  await client.listen({ toolsListChanged: true });
  await t.rejects(client.listen({ toolsListChanged: true }));
  await client.close();
  t.strictSame(await listens(), [
    [true, undefined],
    [false, '-32603'],
  ]);
});
