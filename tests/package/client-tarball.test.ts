/** `mcp-metrics-client` as services get it: packed, installed into an empty folder, used in both module systems. */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t from 'tap';
import { startStandIn } from '../client/stand-in-gateway.ts';
import { startChild } from '../support/child.ts';
import { nodes } from '../support/nodes.ts';
import { plainNode } from '../support/plain-node.ts';
import { ROOT } from '../support/root.ts';

// Outside of this checkout, which npm would otherwise take for the package to install into.
const folder = mkdtempSync(join(tmpdir(), 'mcp-metrics-client-'));
t.teardown(() => rmSync(folder, { recursive: true, force: true }));
writeFileSync(join(folder, 'package.json'), '{ "private": true }');
const [node, pack] = plainNode(join(ROOT, 'scripts/pack-client.ts'), '--destination', folder);
const tarball = execFileSync(node, pack, { encoding: 'utf8' }).trim();
execFileSync('npm', ['install', '--offline', '--no-audit', '--no-fund', tarball], { cwd: folder, stdio: 'ignore' });

const manifest = JSON.parse(
  readFileSync(join(folder, 'node_modules/mcp-metrics-client/package.json'), 'utf8'),
) as Record<string, unknown>;

t.test('it has no dependencies and the version of the gateway', async (t) => {
  t.notOk('dependencies' in manifest || 'peerDependencies' in manifest);
  const { version } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as { version: string };
  t.equal(manifest['version'], version);
  const entries = Object.keys(manifest['exports'] as object);
  t.strictSame(entries.sort(), ['.', './express', './fastify', './hono', './koa', './mcp', './node']);
});

const USE = `
  for (let n = 0; n < 50; n += 1) createMetricsClient().custom('x', { dimensions: { n } });
  instrumentMcpServer({ connect: async () => {} });
  if (typeof authMetrics() !== 'function') throw new Error('no middleware');`;
const PROGRAMS = {
  'module.mjs': `
    import { createMetricsClient } from 'mcp-metrics-client';
    import { instrumentMcpServer } from 'mcp-metrics-client/mcp';
    import { authMetrics } from 'mcp-metrics-client/hono';
    ${USE}`,
  'common.cjs': `
    const { createMetricsClient } = require('mcp-metrics-client');
    const { instrumentMcpServer } = require('mcp-metrics-client/mcp');
    const { authMetrics } = require('mcp-metrics-client/express');
    ${USE}`,
};

for (const [version, node] of nodes()) {
  for (const [file, program] of Object.entries(PROGRAMS)) {
    t.test(`it works in Node ${version} from ${file}`, async (t) => {
      const gateway = await startStandIn();
      t.teardown(() => gateway.close());
      writeFileSync(join(folder, file), program);
      const child = await startChild('env', ['-u', 'NODE_OPTIONS', node, file], {
        cwd: folder,
        env: { METRICS_SERVICE_URL: gateway.url, METRICS_API_KEY: 'k', OTEL_SERVICE_NAME: 'packed' },
      });
      const exit = await child.exited;
      t.strictSame([exit.code, child.output()], [0, '']);
      t.equal(gateway.accepted.length, 50);
      t.equal(gateway.requests[0]!.body.service, 'packed');
    });
  }
}

t.test(
  'its types fit the frameworks and SDKs, for a service in strict TypeScript of either module system',
  async (t) => {
    const program = `
    import { createMetricsClient, type MetricsClient } from 'mcp-metrics-client';
    import { instrumentMcpClient, instrumentMcpServer } from 'mcp-metrics-client/mcp';
    import * as forExpress from 'mcp-metrics-client/express';
    import * as forFastify from 'mcp-metrics-client/fastify';
    import * as forHono from 'mcp-metrics-client/hono';
    import * as forKoa from 'mcp-metrics-client/koa';
    import * as forNode from 'mcp-metrics-client/node';
    import { metrics } from '@opentelemetry/api';
    import { Client } from '@modelcontextprotocol/client';
    import { McpServer } from '@modelcontextprotocol/server';
    import { McpServer as McpServer1 } from '@modelcontextprotocol/sdk/server/mcp.js';
    import express from 'express';
    import Fastify from 'fastify';
    import { Hono } from 'hono';
    import { createServer } from 'node:http';
    import Koa from 'koa';
    const client: MetricsClient = createMetricsClient({ service: 'typed' });
    express().use(forExpress.authMetrics({ client })).use(forExpress.registryMetrics()).use(forExpress.discoveryMetrics());
    const register = async () => await Fastify().register(forFastify.authMetrics({ client }));
    new Hono<{ Bindings: { KEY: string } }>().use(forHono.authMetrics({ client, user: ({ raw }) => raw.req.header('x') }));
    new Koa().use(forKoa.authMetrics({ client }));
    const observe = forNode.authMetrics({ client });
    createServer((request, response) => { observe(request, response); response.end(); });
    const info = { name: 's', version: '1' };
    const meterProvider = { getMeter: metrics.getMeter };
    const server: McpServer = instrumentMcpServer(new McpServer(info), client, { meterProvider });
    const older: McpServer1 = instrumentMcpServer(new McpServer1(info));
    const caller: Client = instrumentMcpClient(new Client(info), client);
    // @ts-expect-error a tool execution says whether it succeeded
    client.toolExecution({ toolName: 'x' });
    export { caller, older, register, server };`;
    writeFileSync(join(folder, 'typed.mts'), program);
    writeFileSync(
      join(folder, 'typed.cts'),
      `import { createMetricsClient } from 'mcp-metrics-client';
     import { authMetrics } from 'mcp-metrics-client/koa';
     createMetricsClient().custom('x'); authMetrics();`,
    );
    // The frameworks that the service has installed are this checkout's.
    for (const name of ['@modelcontextprotocol', '@opentelemetry', '@types', 'express', 'fastify', 'hono', 'koa']) {
      symlinkSync(join(ROOT, 'node_modules', name), join(folder, 'node_modules', name));
    }
    writeFileSync(
      join(folder, 'tsconfig.json'),
      JSON.stringify({
        compilerOptions: {
          strict: true,
          exactOptionalPropertyTypes: true,
          noUncheckedIndexedAccess: true,
          module: 'nodenext',
          target: 'es2022',
          types: ['node'],
          skipLibCheck: false,
          noEmit: true,
        },
        files: ['typed.mts', 'typed.cts'],
      }),
    );
    const child = await startChild(...plainNode(join(ROOT, 'node_modules/typescript/bin/tsc'), '-p', folder));
    await child.exited;
    // What is wrong in the frameworks' own declarations is theirs.
    const faults = child
      .output()
      .split('\n')
      .filter((line) => / error TS/.test(line) && !/node_modules\/(?!mcp-metrics-client)/.test(line));
    t.strictSame(faults, []);
  },
);
