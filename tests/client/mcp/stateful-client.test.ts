import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js';
import { McpServer } from '@modelcontextprotocol/sdk/server/mcp.js';
import { StreamableHTTPServerTransport } from '@modelcontextprotocol/sdk/server/streamableHttp.js';
import t from 'tap';
import { instrumentMcpClient } from '../../../src/client/mcp/index.ts';
import type { MetricsClient } from '../../../src/client/client.ts';

t.test('a client that learns its session id with the first answer keeps one session', async (t) => {
  const tools: { method?: string; clientName?: string; sessionKey: unknown }[] = [];
  const flows: { flowStep: string; sessionKey: unknown }[] = [];
  const metrics = {
    enabled: true,
    warn: (text: string) => t.fail(text),
    flush: () => Promise.resolve(),
    toolExecution: (given: { clientName?: string; method?: string; dimensions?: Record<string, unknown> }) =>
      tools.push({ ...given, sessionKey: given.dimensions?.['session_key'] }),
    protocolLatency: (given: { flowStep: string; sessionKey: unknown }) => flows.push(given),
    custom: () => undefined,
    hashUser: (id: string) => id,
  } as unknown as MetricsClient;
  const transports = new Map<string, StreamableHTTPServerTransport>();
  const server = createServer((request, response) => {
    const serve = async (): Promise<void> => {
      let transport = transports.get(String(request.headers['mcp-session-id']));
      if (transport === undefined) {
        const mcp = new McpServer({ name: 'server', version: '1' });
        mcp.registerTool('ok', {}, () => ({ content: [] }));
        const made = new StreamableHTTPServerTransport({
          sessionIdGenerator: randomUUID,
          onsessioninitialized: (id) => void transports.set(id, made),
        });
        transport = made;
        await mcp.connect(made);
      }
      await transport.handleRequest(request, response);
    };
    serve().catch(() => response.destroy());
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const client = new Client({ name: 'the-client', version: '1' });
  instrumentMcpClient(client as never, metrics);
  const { port } = server.address() as AddressInfo;
  await client.connect(new StreamableHTTPClientTransport(new URL(`http://127.0.0.1:${port}/mcp`)));
  await client.listTools();
  await client.callTool({ name: 'ok' });
  t.same(
    tools.map(({ method, clientName }) => [method, clientName]),
    [
      ['initialize', 'the-client'],
      ['tools/list', 'the-client'],
      ['tools/call', 'the-client'],
    ],
  );
  t.same(
    flows.map(({ flowStep }) => flowStep),
    ['initialize_to_tools_list', 'tools_list_to_tools_call', 'full_protocol_flow'],
  );
  t.equal(new Set(flows.map(({ sessionKey }) => sessionKey)).size, 1);
  await client.close();
  server.closeAllConnections();
  server.close();
});
