/** One stateless transport for many callers, which SDKs allowed until they made it an error: no caller is taken for another. */
import { createServer } from 'node:http';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { Client } from '@modelcontextprotocol/sdk-1.12/client/index.js';
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk-1.12/client/streamableHttp.js';
import { McpServer } from '@modelcontextprotocol/sdk-1.12/server/mcp.js';
import { StreamableHTTPServerTransport } from '@modelcontextprotocol/sdk-1.12/server/streamableHttp.js';
import type { Transport } from '@modelcontextprotocol/sdk-1.12/shared/transport.js';
import t from 'tap';
import { instrumentMcpServer } from '../../../src/client/mcp/index.ts';
import { captureMetrics } from '../captured-metrics.ts';

t.test('callers that share a stateless transport lend each other neither their names nor their steps', async (t) => {
  const { client: metricsClient, metrics } = captureMetrics();
  const transport = new StreamableHTTPServerTransport({ sessionIdGenerator: undefined });
  const server = new McpServer({ name: 'shared', version: '1' });
  server.tool('ok', async () => ({ content: [] }));
  await instrumentMcpServer(server, metricsClient).connect(transport as Transport);
  const http = createServer((request, response) => {
    transport.handleRequest(request, response).catch(() => response.destroy());
  });
  http.listen(0, '127.0.0.1');
  await once(http, 'listening');
  const url = new URL(`http://127.0.0.1:${(http.address() as AddressInfo).port}/mcp`);
  const connect = async (name: string): Promise<Client> => {
    const client = new Client({ name, version: '1' });
    await client.connect(new StreamableHTTPClientTransport(url) as Transport);
    t.teardown(() => client.close());
    return client;
  };
  t.teardown(() => {
    http.closeAllConnections();
    http.close();
  });

  const alice = await connect('alice');
  const bob = await connect('bob');
  await alice.listTools();
  await bob.callTool({ name: 'ok', arguments: {} });
  // A caller that says with each request who it is, as since 2026-07-28.
  const headers = { accept: 'application/json, text/event-stream', 'content-type': 'application/json' };
  const meta = {
    'io.modelcontextprotocol/clientInfo': { name: 'carol', version: '3' },
    'io.modelcontextprotocol/protocolVersion': '2026-07-28',
  };
  const body = JSON.stringify({ jsonrpc: '2.0', id: 'c', method: 'tools/list', params: { _meta: meta } });
  await (await fetch(url, { method: 'POST', headers, body })).text();
  await alice.ping();

  t.strictSame(
    (await metrics('tool_execution')).map(({ dimensions, metadata }) => [
      dimensions['method'],
      dimensions['client_name'],
      dimensions['client_version'],
      dimensions['session_key'],
      metadata['protocol_version'],
    ]),
    [
      ['initialize', 'alice', '1', undefined, '2025-03-26'],
      ['initialize', 'bob', '1', undefined, '2025-03-26'],
      ['tools/list', undefined, undefined, undefined, undefined],
      ['tools/call', undefined, undefined, undefined, undefined],
      ['tools/list', 'carol', '3', undefined, '2026-07-28'],
      ['ping', undefined, undefined, undefined, undefined],
    ],
  );
  t.strictSame(await metrics('protocol_latency'), []);
});
