/** Streamable HTTP with both generations, and protocol 2026-07-28, where each request has a server of its own. */
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type Server as HttpServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { Client as Client1 } from '@modelcontextprotocol/sdk/client/index.js';
import { StreamableHTTPClientTransport as ClientTransport1 } from '@modelcontextprotocol/sdk/client/streamableHttp.js';
import { McpServer as McpServer1 } from '@modelcontextprotocol/sdk/server/mcp.js';
import { StreamableHTTPServerTransport } from '@modelcontextprotocol/sdk/server/streamableHttp.js';
import { Client as Client2, StreamableHTTPClientTransport as ClientTransport2 } from '@modelcontextprotocol/client';
import { toNodeHandler } from '@modelcontextprotocol/node';
import { createMcpHandler, McpServer as McpServer2 } from '@modelcontextprotocol/server';
import type { Attributes } from '@opentelemetry/api';
import {
  AggregationTemporality,
  InMemoryMetricExporter,
  MeterProvider,
  PeriodicExportingMetricReader,
} from '@opentelemetry/sdk-metrics';
import t from 'tap';
import { instrumentMcpClient, instrumentMcpServer } from '../../../src/client/mcp/index.ts';
import { waitFor } from '../../support/wait-for.ts';
import { captureMetrics } from '../captured-metrics.ts';

async function serve(t: { teardown: (end: () => void) => void }, server: HttpServer): Promise<URL> {
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.teardown(() => {
    server.closeAllConnections();
    server.close();
  });
  return new URL(`http://127.0.0.1:${(server.address() as AddressInfo).port}/mcp`);
}

t.test('SDK 1.x: each session of a stateful endpoint has its own key and its own flows, on both sides', async (t) => {
  const onServer = captureMetrics();
  const onClient = captureMetrics();
  const transports = new Map<string, StreamableHTTPServerTransport>();
  const handle = async (
    request: Parameters<StreamableHTTPServerTransport['handleRequest']>[0],
    response: Parameters<StreamableHTTPServerTransport['handleRequest']>[1],
  ): Promise<void> => {
    let transport = transports.get(String(request.headers['mcp-session-id']));
    if (transport === undefined) {
      const made = new StreamableHTTPServerTransport({
        sessionIdGenerator: () => randomUUID(),
        onsessioninitialized: (id) => void transports.set(id, made),
      });
      const server = new McpServer1({ name: 'stateful', version: '1' });
      server.registerTool('ok', {}, async () => ({ content: [] }));
      await instrumentMcpServer(server, onServer.client).connect(made);
      transport = made;
    }
    await transport.handleRequest(request, response);
  };
  const url = await serve(
    t,
    createServer((request, response) => void handle(request, response).catch(t.fail)),
  );
  for (let session = 0; session < 2; session += 1) {
    const client = instrumentMcpClient(new Client1({ name: `client-${session}`, version: '1' }), onClient.client);
    await client.connect(new ClientTransport1(url));
    await client.listTools();
    await client.callTool({ name: 'ok' });
    await client.close();
  }
  for (const { metrics } of [onServer, onClient]) {
    const executions = await metrics('tool_execution');
    t.strictSame(
      executions.map(({ dimensions }) => [dimensions['method'], dimensions['client_name']]),
      [0, 1].flatMap((n) => ['initialize', 'tools/list', 'tools/call'].map((method) => [method, `client-${n}`])),
    );
    const keys = new Set(executions.map(({ dimensions }) => dimensions['session_key']));
    t.equal(keys.size, 2);
    const flows = await metrics('protocol_latency');
    t.equal(flows.length, 6);
    t.strictSame(new Set(flows.map(({ dimensions }) => dimensions['session_key'])), keys);
    for (const id of transports.keys()) t.notMatch(JSON.stringify(await metrics()), id);
  }
});

t.test(
  'SDK 2.x, protocol 2026-07-28: identity comes with each request, and there is no session to measure',
  async (t) => {
    const onServer = captureMetrics();
    const onClient = captureMetrics();
    const handler = createMcpHandler(() => {
      const server = new McpServer2({ name: 'modern', version: '1' });
      server.registerTool('ok', {}, async () => ({ content: [] }));
      server.registerTool('slow', {}, async (context: { mcpReq: { signal: AbortSignal } }) => {
        await once(context.mcpReq.signal, 'abort');
        return { content: [] };
      });
      return instrumentMcpServer(server, onServer.client);
    });
    const node = toNodeHandler(handler);
    const url = await serve(
      t,
      createServer((request, response) => void node(request as never, response)),
    );
    const client = new Client2({ name: 'modern-client', version: '2' }, { versionNegotiation: { mode: 'auto' } });
    const exporter = new InMemoryMetricExporter(AggregationTemporality.CUMULATIVE);
    const reader = new PeriodicExportingMetricReader({ exporter, exportIntervalMillis: 3_600_000 });
    const meterProvider = new MeterProvider({ readers: [reader] });
    t.teardown(() => meterProvider.shutdown());
    instrumentMcpClient(client, onClient.client, { meterProvider });
    await client.connect(new ClientTransport2(url));
    await client.listTools();
    await client.callTool({ name: 'ok' });
    await client.callTool({ name: 'unknown' }).catch(() => {});
    await t.rejects(client.callTool({ name: 'slow' }, { timeout: 100 }));
    await client.close();
    // The server learns of it when the connection closes.
    await waitFor('the server to notice', async () => (await onServer.metrics()).length === 5);

    const expected = [
      ['server/discover', 'server/discover', undefined],
      ['tools/list', 'tools/list', undefined],
      ['tools/call', 'ok', undefined],
      ['tools/call', '_other', '-32602'],
    ];
    const seen = async ({ metrics }: typeof onServer): Promise<unknown[]> => {
      const executions = await metrics('tool_execution');
      for (const { dimensions, metadata } of executions) {
        t.match(dimensions, { client_name: 'modern-client', client_version: '2', server_name: 'modern' });
        t.equal(metadata['protocol_version'], '2026-07-28');
      }
      return executions.map(({ dimensions, metadata }) => [
        dimensions['method'],
        dimensions['tool_name'],
        metadata['error_code'],
      ]);
    };
    t.strictSame(await seen(onServer), [...expected, ['tools/call', 'slow', 'connection_closed']]);
    t.strictSame(await seen(onClient), [...expected, ['tools/call', 'slow', 'cancelled']]);
    t.strictSame(await onServer.metrics('protocol_latency'), []);
    t.ok((await onServer.metrics()).every(({ dimensions }) => dimensions['session_key'] === undefined));
    // The client's own connection is a session all the same.
    t.strictSame(
      (await onClient.metrics('protocol_latency')).map(({ dimensions, metadata }) => [
        dimensions['flow_step'],
        metadata['from_method'],
      ]),
      [
        ['initialize_to_tools_list', 'server/discover'],
        ['tools_list_to_tools_call', 'tools/list'],
        ['full_protocol_flow', 'server/discover'],
      ],
    );

    // Where the call went and how, for OpenTelemetry.
    await reader.forceFlush();
    const points = exporter
      .getMetrics()
      .flatMap(({ scopeMetrics }) => scopeMetrics)
      .flatMap(({ metrics }) => metrics)
      .filter(({ descriptor }) => descriptor.name.startsWith('mcp.client.'))
      .flatMap(({ dataPoints }): readonly { attributes: Attributes }[] => dataPoints);
    t.equal(points.length, 6, 'five kinds of operations and the session');
    for (const { attributes } of points) {
      t.match(attributes, {
        'network.transport': 'tcp',
        'network.protocol.name': 'http',
        'server.address': '127.0.0.1',
        'server.port': Number(url.port),
        'mcp.protocol.version': '2026-07-28',
      });
    }
  },
);
