/** The client outside of Node: Bun, Deno and workerd (the runtime of Cloudflare's edge workers), taken from npm. */
import { execFileSync } from 'node:child_process';
import { chmodSync, existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { build } from 'esbuild';
import t, { type Test } from 'tap';
import { startStandIn } from '../client/stand-in-gateway.ts';
import { startChild } from '../support/child.ts';
import { freePort } from '../support/free-port.ts';
import { ROOT } from '../support/root.ts';
import { waitFor } from '../support/wait-for.ts';
import { folderOf } from '../support/folder.ts';

const RUNTIMES = join(ROOT, '.cache/runtimes');
/** What each package installs for this machine. */
const BINARIES = {
  bun: '@oven/bun-linux-x64/bin/bun',
  deno: '@deno/linux-x64-glibc/deno',
  workerd: '@cloudflare/workerd-linux-64/bin/workerd',
} as const;
const VERSIONS = ['bun@1.4.5', 'deno@2.9.6', 'workerd@1.20261117.1'];

/** @returns why there are none, or undefined */
function install(): string | undefined {
  if (process.platform !== 'linux' || process.arch !== 'x64') return 'the runtimes are fetched for Linux on x64 alone';
  const paths = Object.values(BINARIES).map((path) => join(RUNTIMES, 'node_modules', path));
  if (!paths.every((path) => existsSync(path))) {
    mkdirSync(RUNTIMES, { recursive: true });
    writeFileSync(join(RUNTIMES, 'package.json'), '{ "private": true }');
    try {
      execFileSync('npm', ['install', '--ignore-scripts', '--no-audit', '--no-fund', ...VERSIONS], {
        cwd: RUNTIMES,
        stdio: 'ignore',
        timeout: 180_000,
      });
    } catch {
      return `npm could not install ${VERSIONS.join(', ')}`;
    }
  }
  for (const path of paths) chmodSync(path, 0o755);
  return undefined;
}

const missing = install();
const skip = missing === undefined ? false : missing;
const binary = (name: keyof typeof BINARIES): string => join(RUNTIMES, 'node_modules', BINARIES[name]);

const PROGRAM = `
  import { createMetricsClient } from ${JSON.stringify(join(ROOT, 'src/client/index.ts'))};
  const client = createMetricsClient();
  for (let n = 0; n < 100; n += 1) client.custom('x', { dimensions: { n, user: client.hashUser('alice') } });`;

const HOSTS = [
  ['bun', ['run']],
  ['deno', ['run', '--no-prompt', '--allow-net', '--allow-env']],
] as const;

for (const [name, args] of HOSTS) {
  t.test(`in ${name} a program's metrics are sent before it ends`, { skip }, async (t) => {
    const gateway = await startStandIn();
    t.teardown(() => gateway.close());
    const folder = folderOf(t, { 'program.mjs': PROGRAM });
    const child = await startChild('env', ['-u', 'NODE_OPTIONS', binary(name), ...args, join(folder, 'program.mjs')], {
      cwd: folder,
      env: { METRICS_SERVICE_URL: gateway.url, METRICS_API_KEY: 'k', OTEL_SERVICE_NAME: name },
    });
    const { code } = await child.exited;
    t.strictSame([code, child.output()], [0, '']);
    t.equal(gateway.accepted.length, 100);
    t.equal(gateway.requests[0]!.body.service, name);
  });
}

/** A server and its client of the real SDK, both instrumented, that speak to each other in memory. */
const MCP_PROGRAM = `
  import { Client, InMemoryTransport } from '@modelcontextprotocol/client';
  import { McpServer } from '@modelcontextprotocol/server';
  import { instrumentMcpClient, instrumentMcpServer } from './src/client/mcp/index.ts';
  const server = new McpServer({ name: 'anywhere', version: '1' });
  server.registerTool('ok', {}, async () => ({ content: [] }));
  const client = new Client({ name: 'caller', version: '1' });
  const [near, far] = InMemoryTransport.createLinkedPair();
  await instrumentMcpServer(server).connect(near);
  await instrumentMcpClient(client).connect(far);
  await client.listTools();
  await client.callTool({ name: 'ok' });
  await client.callTool({ name: 'made-up' }).catch(() => {});
  await client.close();`;

async function bundled(contents: string, platform: 'node' | 'neutral'): Promise<string> {
  const { outputFiles } = await build({
    stdin: { contents, resolveDir: ROOT },
    bundle: true,
    format: 'esm',
    platform,
    write: false,
  });
  return outputFiles[0]!.text;
}

for (const [name, args] of HOSTS) {
  t.test(`in ${name} the calls of an MCP server are recorded, on both sides`, { skip }, async (t) => {
    const gateway = await startStandIn();
    t.teardown(() => gateway.close());
    const folder = folderOf(t, { 'program.mjs': await bundled(MCP_PROGRAM, 'node') });
    const child = await startChild('env', ['-u', 'NODE_OPTIONS', binary(name), ...args, join(folder, 'program.mjs')], {
      cwd: folder,
      env: { METRICS_SERVICE_URL: gateway.url, METRICS_API_KEY: 'k', OTEL_SERVICE_NAME: name },
    });
    const { code } = await child.exited;
    t.strictSame([code, child.output()], [0, '']);
    const calls = gateway.accepted.flatMap(({ type, dimensions, metadata }) =>
      type === 'tool_execution' ? [`${String(dimensions['tool_name'])} ${String(metadata['error_code'])}`] : [],
    );
    t.strictSame(
      calls.toSorted(),
      ['_other -32602', 'initialize undefined', 'ok undefined', 'tools/list undefined'].flatMap((call) => [call, call]),
    );
    t.equal(gateway.accepted.filter(({ type }) => type === 'protocol_latency').length, 6);
  });
}

/** Serves a module with workerd; it ends with the test. */
async function serveWorker(t: Test, contents: string): Promise<{ url: string; output: () => string }> {
  const port = await freePort();
  const folder = folderOf(t, {
    'worker.js': await bundled(contents, 'neutral'),
    'config.capnp': `
      using Workerd = import "/workerd/workerd.capnp";
      const config :Workerd.Config = (
        services = [
          (name = "main", worker = (modules = [(name = "worker", esModule = embed "worker.js")], compatibilityDate = "2026-01-01")),
          (name = "internet", network = (allow = ["private", "local"])),
        ],
        sockets = [(name = "http", address = "127.0.0.1:${port}", http = (), service = "main")]);`,
  });
  const child = await startChild(binary('workerd'), ['serve', join(folder, 'config.capnp')]);
  t.teardown(() => child.stop('SIGKILL'));
  const url = `http://127.0.0.1:${port}/`;
  await waitFor('the worker', () => fetch(url).then((response) => response.ok));
  return { url, output: child.output };
}

t.test('in an edge worker a request sends its metrics after the answer', { skip }, async (t) => {
  const gateway = await startStandIn();
  t.teardown(() => gateway.close());
  const { url, output } = await serveWorker(
    t,
    `
        import { Hono } from 'hono';
        import { createMetricsClient } from './src/client/index.ts';
        import { authMetrics } from './src/client/http/hono.ts';
        // At the top of the module, where workers may neither wait nor draw random numbers.
        const client = createMetricsClient({ url: ${JSON.stringify(gateway.url)}, apiKey: 'k', service: 'edge' });
        const app = new Hono();
        app.use(async (context, next) => {
          await next();
          context.executionCtx.waitUntil(client.flush());
        });
        app.use(authMetrics({ client }));
        app.get('/', (context) => {
          client.custom('edge', { durationMs: 1, dimensions: { user: client.hashUser('alice') } });
          return context.text('answered');
        });
        app.get('/events', () => {
          const encoded = new TextEncoder().encode('data: one\\n\\n');
          const body = new ReadableStream({ pull: (to) => { to.enqueue(encoded); to.close(); } });
          return new Response(body, { headers: { 'content-type': 'text/event-stream' } });
        });
        export default app;`,
  );
  for (let n = 0; n < 4; n += 1) await fetch(url);
  t.equal(await (await fetch(`${url}events`)).text(), 'data: one\n\n');
  await waitFor('five of its own and six of the middleware', () => gateway.accepted.length === 11);
  const outcomes = gateway.accepted.flatMap(({ type, dimensions }) =>
    type === 'auth_request' ? [dimensions['success']] : [],
  );
  t.strictSame(outcomes, [true, true, true, true, true, true]);
  t.notMatch(output(), /error/i);
});

t.test('an edge worker goes on after a gateway that hung past the end of its requests', { skip }, async (t) => {
  const gateway = await startStandIn();
  t.teardown(() => gateway.close());
  gateway.answer = () => ({ status: 200, afterMs: 60_000 });
  const { url } = await serveWorker(
    t,
    `
      import { createMetricsClient } from './src/client/index.ts';
      const client = createMetricsClient({ url: ${JSON.stringify(gateway.url)}, apiKey: 'k', requestTimeoutMs: 300 });
      export default {
        async fetch(request, environment, context) {
          const { pathname } = new URL(request.url);
          if (pathname === '/work') {
            client.custom('edge');
            // Ends the request's context while the POST is under way.
            context.waitUntil(client.flush({ timeoutMs: 50 }));
          }
          return Response.json(client.stats());
        },
      };`,
  );
  const work = async (): Promise<void> => {
    await (await fetch(`${url}work`)).text();
  };
  await work();
  await waitFor('a try that hangs', () => gateway.requests.length > 0);
  // Its context is gone before its time-out: nothing of it is heard again.
  await new Promise((resolve) => setTimeout(resolve, 100));
  gateway.answer = () => undefined;
  let sent = 1;
  await waitFor('what was recorded so far', async () => {
    await work();
    sent += 1;
    return gateway.accepted.length >= 3;
  });
  await waitFor('all of it, each once', async () => {
    const stats = (await (await fetch(`${url}work`)).json()) as { recorded: number };
    sent += 1;
    t.equal(stats.recorded, sent);
    return gateway.accepted.length >= sent - 1;
  });
});
