/**
 * MCP servers from npm that nobody here wrote, as their users run them, driven by the SDKs' own clients, instrumented,
 * against a real gateway: every call is in SQLite and in the totals, and the servers answer as they do without.
 */
import { join } from 'node:path';
import Database from 'better-sqlite3';
import { Client as Client1 } from '@modelcontextprotocol/sdk/client/index.js';
import { StdioClientTransport as Stdio1 } from '@modelcontextprotocol/sdk/client/stdio.js';
import { StreamableHTTPClientTransport as Http1 } from '@modelcontextprotocol/sdk/client/streamableHttp.js';
import { Client as Client2, StreamableHTTPClientTransport as Http2 } from '@modelcontextprotocol/client';
import { StdioClientTransport as Stdio2 } from '@modelcontextprotocol/client/stdio';
import t from 'tap';
import { startChild } from '../support/child.ts';
import { freePort } from '../support/free-port.ts';
import { startGateway } from '../support/gateway.ts';
import { plainNode } from '../support/plain-node.ts';
import { ROOT } from '../support/root.ts';
import { sumOf } from '../support/prometheus-text.ts';
import { waitFor } from '../support/wait-for.ts';
import { folderOf } from '../support/folder.ts';

const gateway = await startGateway({ dataDirectory: folderOf(t) });
t.teardown(() => gateway.stop('SIGKILL'));

/** A call, as a client makes it and as its metric is to look. */
interface Call {
  readonly method: string;
  readonly tool?: string;
  readonly make: (client: Client1 | Client2) => Promise<unknown>;
  readonly success?: boolean;
  readonly atLeastMs?: number;
  /** The label, where it is not the tool's name. */
  readonly label?: string;
}

const tool = (name: string, args: Record<string, unknown>, more: Partial<Call> = {}): Call => ({
  method: 'tools/call',
  tool: name,
  make: (client) => client.callTool({ name, arguments: args }),
  ...more,
});

const EVERYTHING: readonly Call[] = [
  { method: 'tools/list', make: (client) => client.listTools() },
  tool('echo', { message: 'héllo wörld' }),
  tool('get-sum', { a: 2, b: 3 }),
  tool('get-tiny-image', {}),
  tool('get-structured-content', { location: 'New York' }),
  tool('get-annotated-message', { messageType: 'error', includeImage: true }),
  tool('trigger-long-running-operation', { duration: 0.5, steps: 5 }, { atLeastMs: 450 }),
  tool('get-sum', { a: 'not a number' }, { success: false }),
  tool('drop-all-tables', { really: true }, { success: false, label: '_other' }),
  { method: 'prompts/list', make: (client) => client.listPrompts() },
  { method: 'prompts/get', make: (client) => client.getPrompt({ name: 'simple-prompt' }) },
  { method: 'prompts/get', make: (client) => client.getPrompt({ name: 'no-such-prompt' }), success: false },
  { method: 'resources/list', make: (client) => client.listResources() },
  { method: 'resources/templates/list', make: (client) => client.listResourceTemplates() },
  { method: 'ping', make: (client) => client.ping() },
];

const BUDGET: readonly Call[] = [
  { method: 'tools/list', make: (client) => client.listTools() },
  tool('get-budget-data', {}),
  tool('no-such-tool', {}, { success: false, label: '_other' }),
  { method: 'resources/list', make: (client) => client.listResources() },
  { method: 'ping', make: (client) => client.ping() },
];

const module = (path: string): string => join(ROOT, 'node_modules/@modelcontextprotocol', path);

interface Program {
  readonly name: string;
  readonly file: string;
  readonly stdio: readonly string[];
  readonly http: readonly string[];
  readonly preload: string;
  readonly calls: readonly Call[];
  readonly generation: 1 | 2;
  /** The server's HTTP endpoint has sessions. */
  readonly sessions: boolean;
}

const PROGRAMS: readonly Program[] = [
  {
    name: 'server-everything',
    file: module('server-everything/dist/index.js'),
    stdio: ['stdio'],
    http: ['streamableHttp'],
    preload: 'instrument-everything.ts',
    calls: EVERYTHING,
    generation: 1,
    sessions: true,
  },
  {
    name: 'server-budget-allocator',
    file: module('server-budget-allocator/dist/index.js'),
    stdio: ['--stdio'],
    http: [],
    preload: 'instrument-budget-allocator.ts',
    calls: BUDGET,
    generation: 2,
    sessions: false,
  },
];

/** What volatile parts an answer has is no matter of the instrumentation. */
const stable = (answer: unknown): string =>
  JSON.stringify(answer)
    .replace(/\d{4}-\d\d-\d\dT[\d:.]+Z/g, 'TIME')
    .replace(/-?\d+\.\d{3,}/g, 'NUMBER')
    .replace(/\d+/g, 'N');

interface Seen {
  readonly answers: readonly string[];
  /** Bytes of each request and its answer on the wire, `initialize` first. */
  readonly sizes: readonly (readonly [number, number])[];
}

async function drive(program: Program, overHttp: boolean, service: string | undefined): Promise<Seen> {
  const preload = ['--conditions=mcp-metrics-source', '--import', join(ROOT, 'tests/support', program.preload)];
  const env = { METRICS_SERVICE_URL: gateway.url, METRICS_API_KEY: gateway.key, OTEL_SERVICE_NAME: service ?? '' };
  const port = await freePort();
  const [command, args] = plainNode(
    ...(service === undefined ? [] : preload),
    program.file,
    ...(overHttp ? program.http : program.stdio),
  );
  const child = overHttp ? await startChild(command, args, { env: { ...env, PORT: String(port) } }) : undefined;
  const url = new URL(`http://127.0.0.1:${port}/mcp`);
  if (child !== undefined) await waitFor('the server', () => fetch(url).then(() => true));

  const info = { name: 'e2e-client', version: '1.0.0' };
  const stdio = { command, args, env: { ...env, PATH: process.env['PATH']! }, stderr: 'ignore' as const };
  const [client, transport] =
    program.generation === 1
      ? [new Client1(info), overHttp ? new Http1(url) : new Stdio1(stdio)]
      : [new Client2(info), overHttp ? new Http2(url) : new Stdio2(stdio)];

  const requested = new Map<unknown, number>();
  const sizes: [number, number][] = [];
  const bytes = (message: unknown): number => Buffer.byteLength(JSON.stringify(message));
  const { send } = transport as unknown as { send: (message: object, options?: unknown) => Promise<void> };
  Object.assign(transport, {
    send: (message: object, options?: unknown) => {
      if ('method' in message && 'id' in message) requested.set(message.id, bytes(message));
      return send.call(transport, message, options);
    },
  });
  await client.connect(transport);
  const { onmessage } = transport as { onmessage?: (message: object, extra: unknown) => void };
  Object.assign(transport, {
    onmessage: (message: object, extra: unknown) => {
      if ('id' in message && !('method' in message)) sizes.push([requested.get(message.id)!, bytes(message)]);
      onmessage?.(message, extra);
    },
  });
  const answers: string[] = [];
  for (const call of program.calls) {
    answers.push(stable(await call.make(client).catch((error: Error) => ({ failed: error.message }))));
  }
  await client.close();
  // A server over HTTP goes on: its client's batch is sent within the interval. One over stdio ends, and sends it then.
  if (service !== undefined) {
    await waitFor('the metrics', async () => {
      return sumOf(await gateway.scrape(), 'mcp_tool_executions_total', { service }) === program.calls.length + 1;
    });
  }
  await child?.stop('SIGINT');
  return { answers, sizes };
}

interface Row {
  readonly method: string;
  readonly tool_name: string;
  readonly success: number;
  readonly server_name: string;
  readonly client_name: string | null;
  readonly client_version: string | null;
  readonly duration_ms: number;
  readonly input_size_bytes: number;
  readonly output_size_bytes: number;
}

for (const program of PROGRAMS) {
  for (const overHttp of [false, true]) {
    const over = overHttp ? 'http' : 'stdio';
    t.test(`${program.name} over ${over}`, async (t) => {
      const service = `${program.name}-${over}`;
      const plain = await drive(program, overHttp, undefined);
      const began = performance.now();
      const { answers, sizes } = await drive(program, overHttp, service);
      const tookMs = performance.now() - began;
      t.strictSame(answers, plain.answers, 'the server answers as it does without');

      await gateway.flush();
      const database = new Database(gateway.databasePath, { readonly: true });
      t.teardown(() => database.close());
      const rows = database
        .prepare(
          `SELECT method, tool_name, success, server_name, client_name, client_version, duration_ms,
             input_size_bytes, output_size_bytes FROM tool_metrics WHERE service = ? ORDER BY id`,
        )
        .all(service) as Row[];
      t.strictSame(
        rows.map((row) => [row.method, row.tool_name, row.success === 1]),
        [
          ['initialize', 'initialize', true],
          ...program.calls.map(({ method, tool, label, success = true }) => [method, label ?? tool ?? method, success]),
        ],
        'every call is in SQLite once, with its name and success',
      );
      t.strictSame(
        rows.slice(1).map((row) => [row.input_size_bytes, row.output_size_bytes]),
        sizes,
        'sizes are those on the wire',
      );
      t.ok(
        rows.every(({ duration_ms: duration }) => duration >= 0 && duration < tookMs),
        'durations are plausible',
      );
      for (const [index, { atLeastMs = 0 }] of program.calls.entries()) t.ok(rows[index + 1]!.duration_ms >= atLeastMs);
      // Where each request has a server of its own and no session links them, only `initialize` says who asks.
      const known = !overHttp || program.sessions;
      t.ok(rows.every((row, index) => !(known || index === 0) || row.client_name === 'e2e-client'));
      t.ok(rows.every((row) => row.server_name === rows[0]!.server_name && row.server_name !== null));

      const flows = database
        .prepare('SELECT flow_step, latency, session_key FROM protocol_metrics WHERE service = ? ORDER BY id')
        .all(service) as { flow_step: string; latency: number; session_key: string }[];
      t.strictSame(
        flows.map(({ flow_step: step }) => step),
        known ? ['initialize_to_tools_list', 'tools_list_to_tools_call', 'full_protocol_flow'] : [],
      );
      t.ok(new Set(flows.map(({ session_key: key }) => key)).size <= 1);

      const page = await waitFor('the totals', async () => {
        const text = await gateway.scrape();
        return sumOf(text, 'mcp_tool_executions_total', { service }) === rows.length && text;
      });
      for (const { tool, label, success = true } of program.calls) {
        if (tool === undefined) continue;
        const labels = { service, tool_name: label ?? tool, method: 'tools/call', success: String(success) };
        t.ok(sumOf(page, 'mcp_tool_executions_total', labels)! >= 1, `${tool} is in /metrics`);
        t.ok(sumOf(page, 'mcp_tool_execution_duration_seconds_count', labels)! >= 1);
      }
      t.equal(sumOf(page, 'mcp_tool_executions_total', { service, tool_name: 'drop-all-tables' }), undefined);
    });
  }
}
