/** 2.x packages over stdio, where one connection is one session in either era of the protocol. */
import { Client } from '@modelcontextprotocol/client';
import { StdioClientTransport } from '@modelcontextprotocol/client/stdio';
import t from 'tap';
import { plainNode } from '../../support/plain-node.ts';
import { ROOT } from '../../support/root.ts';
import { waitFor } from '../../support/wait-for.ts';
import { startStandIn } from '../stand-in-gateway.ts';

const PROGRAM = `
  import { McpServer } from '@modelcontextprotocol/server';
  import { serveStdio } from '@modelcontextprotocol/server/stdio';
  import { instrumentMcpServer } from 'mcp-metrics-gateway/client/mcp';
  serveStdio(() => {
    const server = new McpServer({ name: 'stdio-2', version: '1' });
    server.registerTool('ok', {}, async () => ({ content: [] }));
    return instrumentMcpServer(server);
  });`;

for (const [era, mode, opening, version] of [
  ['2026-07-28', 'auto', 'tools/list', '2026-07-28'],
  ['the handshake', 'legacy', 'initialize', '2025-11-25'],
] as const) {
  t.test(`serveStdio under ${era}: calls, flows and identity`, async (t) => {
    const gateway = await startStandIn();
    t.teardown(() => gateway.close());
    const [command, args] = plainNode('--conditions=mcp-metrics-source', '--input-type=module', '--eval', PROGRAM);
    const client = new Client({ name: 'stdio-client', version: '7' }, { versionNegotiation: { mode } });
    await client.connect(
      new StdioClientTransport({
        command,
        args,
        cwd: ROOT,
        env: { PATH: process.env['PATH']!, METRICS_SERVICE_URL: gateway.url, METRICS_API_KEY: 'k' },
      }),
    );
    await client.listTools();
    await client.callTool({ name: 'ok' });
    await client.callTool({ name: 'ok' });
    await client.close();
    // The process that a client probes with is a session of its own.
    const own = await waitFor('the metrics', () => {
      const sessions = new Map<unknown, (typeof gateway.accepted)[number][]>();
      for (const metric of gateway.accepted) {
        const key = metric.dimensions['session_key'];
        sessions.set(key, [...(sessions.get(key) ?? []), metric]);
      }
      return [...sessions.values()].find((metrics) =>
        metrics.some(({ dimensions }) => dimensions['tool_name'] === 'ok'),
      );
    });
    const executions = own.filter(({ type }) => type === 'tool_execution');
    t.strictSame(
      executions.map(({ dimensions }) => dimensions['tool_name']),
      opening === 'initialize' ? ['initialize', 'tools/list', 'ok', 'ok'] : ['tools/list', 'ok', 'ok'],
    );
    for (const { dimensions, metadata } of executions) {
      t.match(dimensions, { server_name: 'stdio-2', client_name: 'stdio-client', client_version: '7', success: true });
      t.equal(metadata['protocol_version'], version);
    }
    const flows = own.filter(({ type }) => type === 'protocol_latency');
    t.strictSame(
      flows.map(({ dimensions, metadata }) => [dimensions['flow_step'], metadata['from_method']]),
      [
        ...(opening === 'initialize' ? [['initialize_to_tools_list', 'initialize']] : []),
        ['tools_list_to_tools_call', 'tools/list'],
        ['full_protocol_flow', opening],
      ],
    );
  });
}

for (const [what, afterMs] of [
  ['hangs', 60_000],
  ['is not there', undefined],
] as const) {
  t.test(`a server whose gateway ${what} ends by itself in the time that its host gives it`, async (t) => {
    const gateway = await startStandIn();
    t.teardown(() => gateway.close());
    gateway.answer = () => ({ status: 200, ...(afterMs !== undefined && { afterMs }) });
    if (afterMs === undefined) await gateway.close();
    const program = `${PROGRAM}
      process.on('exit', () => console.error('by itself'));`;
    const [command, args] = plainNode('--conditions=mcp-metrics-source', '--input-type=module', '--eval', program);
    const client = new Client({ name: 'stdio-client', version: '7' }, { versionNegotiation: { mode: 'legacy' } });
    const transport = new StdioClientTransport({
      command,
      args,
      cwd: ROOT,
      env: { PATH: process.env['PATH']!, METRICS_SERVICE_URL: gateway.url, METRICS_API_KEY: 'k' },
      stderr: 'pipe',
    });
    let said = '';
    transport.stderr?.on('data', (chunk: Buffer) => (said += chunk.toString()));
    await client.connect(transport);
    await client.callTool({ name: 'ok' });
    if (afterMs !== undefined) await waitFor('a request that hangs', () => gateway.requests.length > 0);
    // The SDK kills it with SIGTERM after two seconds, and then no exit listener is asked.
    await client.close();
    t.match(said, /by itself/);
    if (afterMs === undefined) await gateway.reopen();
  });
}
