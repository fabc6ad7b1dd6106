/** The package as npm would publish it, installed into an empty folder and run there. */
import Database from 'better-sqlite3';
import { execFileSync, spawnSync } from 'node:child_process';
import { copyFileSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import t from 'tap';
import { startChild } from '../support/child.ts';
import { startGateway } from '../support/gateway.ts';
import { nodes } from '../support/nodes.ts';
import { sumOf } from '../support/prometheus-text.ts';
import { ROOT } from '../support/root.ts';
import { waitFor } from '../support/wait-for.ts';

/** As in a shell of a user's own: this Node first, nothing of npm's, tap's or the gateway's settings. */
const env = {
  ...Object.fromEntries(
    Object.entries(process.env).filter(([name]) => !/^(npm_|_?TAP|NODE_OPTIONS|METRICS_|OTEL_|SQLITE_)/i.test(name)),
  ),
  PATH: `${dirname(process.execPath)}:${process.env['PATH'] ?? ''}`,
};
const metric = {
  service: 'packaged',
  metrics: [{ type: 'tool_execution', value: 1, duration_ms: 42, dimensions: { tool_name: 'search', success: true } }],
};

async function run(cwd: string, command: string, ...args: string[]): Promise<string> {
  const child = await startChild(command, args, { cwd, env });
  const { code } = await child.exited;
  if (code !== 0) throw new Error(`${command} ${args.join(' ')} ended with ${code}:\n${child.output()}`);
  return child.output();
}

t.test('the package', async (t) => {
  // Outside of this checkout, which npm would otherwise take for the package to install into.
  const folder = mkdtempSync(join(tmpdir(), 'mcp-metrics-package-'));
  t.teardown(() => rmSync(folder, { recursive: true, force: true }));
  for (const name of ['app', 'packed']) mkdirSync(join(folder, name));
  const app = join(folder, 'app');
  const installed = join(app, 'node_modules/mcp-metrics-gateway');
  const bin = join(installed, 'bin/mcp-metrics.cjs');
  await run(ROOT, 'npm', 'pack', '--pack-destination', join(folder, 'packed'));
  const [tarball = ''] = execFileSync('ls', [join(folder, 'packed')], { encoding: 'utf8' }).split('\n');

  await t.test('holds what runs, and nothing that only develops', async (t) => {
    const files = execFileSync('tar', ['tzf', join(folder, 'packed', tarball)], { encoding: 'utf8' }).split('\n');
    for (const file of [
      'LICENSE',
      'README.md',
      'CHANGELOG.md',
      'pipeline.config.ts',
      'bin/mcp-metrics.cjs',
      'dist/index.d.ts',
    ]) {
      t.ok(files.includes(`package/${file}`), file);
    }
    t.ok(
      files.some((file) => /^package\/drizzle\/.*\.sql$/.test(file)),
      'migrations',
    );
    const strange = files.filter((file) => /^package\/(src|tests|scripts|\.)|\.test\./.test(file));
    t.strictSame(strange, [], 'no sources, no tests');
  });

  await t.test('installs into an empty folder', async (t) => {
    await run(app, 'npm', 'install', '--prefer-offline', '--no-audit', '--no-fund', join(folder, 'packed', tarball));
    const { engines, version } = JSON.parse(readFileSync(join(installed, 'package.json'), 'utf8')) as {
      engines: { node: string };
      version: string;
    };
    t.equal(engines.node, '>=22.18');
    t.equal((await run(app, 'npx', 'mcp-metrics', '--version')).trim().split('\n').at(-1), version);
  });

  await t.test('says what an old Node is missing before anything else can fail', (t) => {
    const preload = join(folder, 'old-node.cjs');
    writeFileSync(
      preload,
      `Object.defineProperty(process, 'versions', { value: { ...process.versions, node: '20.20.2' } });`,
    );
    const { status, stderr } = spawnSync(
      'env',
      ['-u', 'NODE_OPTIONS', process.execPath, '--require', preload, bin, 'start'],
      {
        encoding: 'utf8',
      },
    );
    t.equal(status, 1);
    t.match(stderr, /mcp-metrics needs Node\.js 22\.18 or newer/);
    t.end();
  });

  await t.test('runs the config that it ships with, copied beside the user’s code', async (t) => {
    copyFileSync(join(installed, 'pipeline.config.ts'), join(app, 'pipeline.config.ts'));
    const data = join(folder, 'data');
    mkdirSync(data);
    const gateway = await startGateway({
      dataDirectory: data,
      cwd: app,
      command: [join(app, 'node_modules/.bin/mcp-metrics')],
      args: ['--config', './pipeline.config.ts'],
      env,
    });
    t.teardown(() => gateway.stop('SIGKILL'));
    const answer = await gateway.post(metric);
    t.equal(answer.status, 200, await answer.text());
    await waitFor('the metric on the page', async () => {
      return sumOf(await gateway.scrape(), 'mcp_tool_executions_total', { service: 'packaged' }) === 1;
    });
    await gateway.flush();
    t.strictSame(await gateway.stop('SIGTERM'), { code: 0, signal: null }, gateway.output());
    const database = new Database(join(data, 'metrics.db'), { readonly: true });
    t.equal(database.prepare('SELECT tool_name FROM tool_metrics').pluck().get(), 'search');
    database.close();
  });

  await t.test('says what to do where the user’s package is CommonJS', async (t) => {
    const other = join(folder, 'commonjs');
    mkdirSync(other);
    writeFileSync(join(other, 'package.json'), '{ "type": "commonjs" }');
    copyFileSync(join(app, 'pipeline.config.ts'), join(other, 'pipeline.config.ts'));
    const validate = await startChild(process.execPath, [bin, 'validate', '--config', './pipeline.config.ts'], {
      cwd: other,
    });
    t.equal((await validate.exited).code, 78);
    t.match(validate.output(), /pipeline\.config\.ts: cannot be loaded: .*"type": "module"/s);
  });

  await t.test('runs on its own config where the user has none', async (t) => {
    const empty = join(folder, 'empty');
    mkdirSync(empty);
    const validate = await startChild(process.execPath, [bin, 'validate'], { cwd: empty });
    t.equal((await validate.exited).code, 0, validate.output());
    t.match(validate.output(), /auth → rateLimit → validate → enrich → buffer → sqlite → prometheus/);
  });

  await t.test('npx mcp-metrics start runs as well, and Ctrl-C ends it in good order', async (t) => {
    const data = join(folder, 'data-npx');
    mkdirSync(data);
    const gateway = await startGateway({
      dataDirectory: data,
      cwd: app,
      // A process group of its own, which Ctrl-C on a terminal reaches as a whole.
      command: ['setsid', 'npx', 'mcp-metrics'],
      args: ['--config', './pipeline.config.ts'],
      env,
    });
    t.equal((await gateway.post(metric)).status, 200);
    process.kill(-gateway.pid, 'SIGINT');
    await gateway.exited;
    t.match(gateway.output(), /"msg":"stopped"/);
  });

  await t.test('every entry can be imported, with no framework installed beside it', async (t) => {
    const { exports } = JSON.parse(readFileSync(join(installed, 'package.json'), 'utf8')) as { exports: object };
    for (const entry of Object.keys(exports)) {
      const script = `await import(${JSON.stringify(`mcp-metrics-gateway${entry.slice(1)}`)})`;
      const child = await startChild(process.execPath, ['--input-type=module', '-e', script], { cwd: app });
      t.strictSame(await child.exited, { code: 0, signal: null }, `${entry} ${child.output()}`);
    }
  });

  await t.test('the client runs on Node 20 as well, as an ES module and as real CommonJS', async (t) => {
    const { exports } = JSON.parse(readFileSync(join(installed, 'package.json'), 'utf8')) as { exports: object };
    const entries = Object.keys(exports).filter((entry) => entry.startsWith('./client'));
    t.equal(entries.length, 7);
    const names = entries.map((entry) => `mcp-metrics-gateway${entry.slice(1)}`);
    writeFileSync(
      join(app, 'uses.cjs'),
      `for (const name of ${JSON.stringify(names)}) require(name);
       require('mcp-metrics-gateway/client').createMetricsClient({ enabled: false }).custom('x');`,
    );
    writeFileSync(
      join(app, 'uses.mjs'),
      `${names.map((name) => `import ${JSON.stringify(name)};`).join('')}
       import { createMetricsClient } from 'mcp-metrics-gateway/client';
       createMetricsClient({ enabled: false }).custom('x');`,
    );
    for (const [version, node] of nodes()) {
      for (const file of ['uses.cjs', 'uses.mjs']) {
        // Without Node's own way to `require` ES modules, which not every Node 20 has.
        const child = await startChild(node, ['--no-experimental-require-module', file], { cwd: app, env });
        t.strictSame(await child.exited, { code: 0, signal: null }, `${version} ${file} ${child.output()}`);
      }
    }
  });

  await t.test('its types are whole: the config compiles against them', async (t) => {
    const compilerOptions = {
      module: 'nodenext',
      target: 'es2024',
      strict: true,
      exactOptionalPropertyTypes: true,
      skipLibCheck: false,
      noEmit: true,
      types: ['node'],
      typeRoots: [join(ROOT, 'node_modules/@types')],
    };
    writeFileSync(join(app, 'tsconfig.json'), JSON.stringify({ compilerOptions, files: ['pipeline.config.ts'] }));
    writeFileSync(join(app, 'package.json'), '{ "name": "app", "type": "module", "private": true }');
    const { stdout } = spawnSync(
      'env',
      ['-u', 'NODE_OPTIONS', process.execPath, join(ROOT, 'node_modules/typescript/bin/tsc'), '-p', app],
      { encoding: 'utf8' },
    );
    const ours = stdout.split('\n').filter((line) => /mcp-metrics-gateway\/dist|pipeline\.config/.test(line));
    t.strictSame(ours, []);
  });
});
