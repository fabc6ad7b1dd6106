/** The command line as a person uses it: processes of their own, beside a running gateway and without one. */
import { once } from 'node:events';
import { mkdtemp, rm, stat } from 'node:fs/promises';
import { type AddressInfo, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import Database from 'better-sqlite3';
import t, { type Test } from 'tap';
import { startChild } from '../support/child.ts';
import { runCli as run } from '../support/cli.ts';
import { freePort } from '../support/free-port.ts';
import { FROM_SOURCE } from '../support/gateway-command.ts';
import { type RunningGateway, startGateway } from '../support/gateway.ts';
import { ROOT } from '../support/root.ts';
import { waitFor } from '../support/wait-for.ts';

const [node, ...entry] = FROM_SOURCE;

async function directory(t: Test): Promise<string> {
  const path = await mkdtemp(join(tmpdir(), 'cli-'));
  t.teardown(() => rm(path, { recursive: true, force: true }));
  return path;
}

const SECRET = /^mcp_metrics_[A-Za-z0-9_-]{43}\n$/;
const metric = { type: 'tool_execution', value: 1, duration_ms: 5, dimensions: { tool_name: 'search', success: true } };

t.test('beside a running gateway', async (t) => {
  const dataDirectory = await directory(t);
  const gateway: RunningGateway = await startGateway({ dataDirectory, env: { FLUSH_INTERVAL_SECONDS: '0.1' } });
  t.teardown(() => gateway.stop());
  const env = {
    SQLITE_DB_PATH: gateway.databasePath,
    OTEL_PROMETHEUS_PORT: new URL(gateway.scrapeUrl).port,
    METRICS_SERVICE_PORT: new URL(gateway.url).port,
  };
  const send = (key: string): Promise<Response> =>
    gateway.post({ service: 'cli', metrics: [metric] }, { 'x-api-key': key });

  await t.test('a key is made, used, changed, rotated and revoked', async (t) => {
    const created = await run(env, 'keys', 'create', '--service', 'cli', '--description', 'of a test');
    t.equal(created.code, 0, created.stderr);
    t.match(created.stdout, SECRET, 'the secret alone is on standard output');
    const id = /key_[0-9a-f]{16}/.exec(created.stderr)?.[0] ?? '';
    t.equal((await send(created.stdout.trim())).status, 200, 'it works at once');

    t.match((await run(env, 'keys', 'update', id, '--rate-limit', '1')).stdout, /\b1\b/);
    await send(created.stdout.trim());
    t.equal((await send(created.stdout.trim())).status, 429, 'its new limit of one holds');
    const dated = await run(env, 'keys', 'update', id, '--expires', '2099-01-31', '--json');
    t.match(JSON.parse(dated.stdout), { expires_at: '2099-01-31T00:00:00.000Z' });
    const endless = await run(env, 'keys', 'update', id, '--expires', 'never', '--json');
    t.match(JSON.parse(endless.stdout), { expires_at: null });
    const unlimited = await run(env, 'keys', 'update', id, '--rate-limit', 'default', '--json');
    t.match(JSON.parse(unlimited.stdout), { requests_per_minute: null });
    const rotated = await run(env, 'keys', 'rotate', id, '--overlap', '0');
    t.match(rotated.stdout, SECRET);
    t.equal((await send(created.stdout.trim())).status, 401, 'without overlap the old secret ends');
    const next = /key_[0-9a-f]{16}/.exec(rotated.stderr)?.[0] ?? '';
    t.equal((await run(env, 'keys', 'revoke', next)).code, 0);
    t.equal((await send(rotated.stdout.trim())).status, 401, 'a revoked key ends');
    const list = await run(env, 'keys', 'list');
    t.match(list.stdout, 'revoked');
    for (const { stdout } of [created, rotated])
      t.notMatch(list.stdout + list.stderr, stdout.trim(), 'no list shows a secret');
    t.equal((await run(env, 'keys', 'revoke', 'key_0000000000000000')).code, 66);
  });

  await t.test('tail shows what passes', async (t) => {
    const tail = await startChild(node, [...entry, 'tail', '--json', '--service', 'tailed'], { cwd: ROOT, env });
    t.teardown(() => tail.stop('SIGKILL'));
    await waitFor(
      'the tail to show an event',
      async () => {
        await gateway.post({ service: 'other', metrics: [metric] });
        await gateway.post({ service: 'tailed', metrics: [metric] });
        return tail.output().includes('\n');
      },
      { deadlineMs: 60_000 },
    );
    const [line = ''] = tail.output().split('\n');
    t.match(JSON.parse(line), { service: 'tailed', type: 'tool_execution', dimensions: { tool_name: 'search' } });
  });

  await t.test('tail into a program that reads no further ends without a word', async (t) => {
    const typed = `${FROM_SOURCE.map((part) => `'${part}'`).join(' ')} tail | head -n 1; echo "ended \${PIPESTATUS[0]}"`;
    const piped = await startChild('bash', ['-c', typed], { cwd: ROOT, env });
    t.teardown(() => piped.stop('SIGKILL'));
    const hostile = { ...metric, dimensions: { tool_name: '\u001b[31mred' } };
    await waitFor(
      'the pipe to end',
      async () => {
        await gateway.post({ service: 'piped', metrics: [hostile] });
        return piped.exit() !== undefined;
      },
      { deadlineMs: 60_000 },
    );
    t.match(piped.output(), /^[\d:.]+ .*tool_name=\\u001b\[31mred.*\nended 0\n$/, 'and shows no control characters');
  });

  await t.test('what the gateway keeps is for its owner alone', async (t) => {
    for (const name of ['metrics.db', 'control.sock', 'lock'])
      t.equal((await stat(join(dataDirectory, name))).mode & 0o077, 0, name);
  });

  await t.test('demo sends what was asked for, with a key that it takes back', async (t) => {
    const demo = await run(env, 'demo', '--rate', '100', '--duration', '1', '--service', 'demo-cli');
    t.equal(demo.code, 0, demo.stderr);
    const accepted = Number(/^(\d+) metrics accepted/m.exec(demo.stderr)?.[1]);
    t.ok(accepted >= 50, demo.stderr);
    await gateway.flush();
    const counted = await run(
      env,
      'query',
      'success-rates',
      '--by',
      'service',
      '--type',
      'tool_execution',
      '--service',
      'demo-cli',
      '--json',
    );
    t.equal((JSON.parse(counted.stdout) as { rows: unknown[] }).rows.length, 1);
    const keys = JSON.parse((await run(env, 'keys', 'list', '--json')).stdout) as { service: string; state: string }[];
    t.same(
      keys.filter(({ service }) => service === 'demo').map(({ state }) => state),
      ['revoked'],
    );
  });

  await t.test('retention, backup and backfill', async (t) => {
    const changed = await run(env, 'retention', 'set', 'tool_metrics', '--days', '30', '--no-active', '--json');
    t.match(JSON.parse(changed.stdout), { retention_days: 30, is_active: false });
    t.equal((await run(env, 'retention', 'set', 'tool_metrics', '--days', '0')).code, 64);
    t.match((await run(env, 'retention', 'cleanup', '--dry-run')).stdout, 'completed');
    const copy = join(dataDirectory, 'copy.db');
    t.equal((await run(env, 'backup', copy)).code, 0);
    const database = new Database(copy, { readonly: true });
    t.ok((database.prepare('SELECT count(*) AS n FROM metrics').get() as { n: number }).n > 50);
    t.same(database.pragma('integrity_check'), [{ integrity_check: 'ok' }]);
    database.close();
    t.equal((await run(env, 'backup', copy)).code, 1, 'a backup never overwrites');
    t.match((await run(env, 'backfill')).stdout, 'hours: 1');
  });

  await t.test('health, doctor, set-aside and journal inspect', async (t) => {
    t.match(await run(env, 'health'), { code: 0, stdout: 'ready\n' });
    const doctor = await run(env, 'doctor');
    t.equal(doctor.code, 0, doctor.stdout);
    t.match((await run(env, 'set-aside', 'list')).stdout, 'sqlite');
    t.match((await run(env, 'set-aside', 'list', 'nosuch')).stderr, 'no sink is named "nosuch"');
    t.match((await run(env, 'journal', 'inspect')).stdout, '0 bytes damaged');
  });

  await t.test('over the network with an admin key, and with one that lacks the scope', async (t) => {
    const admin = (await run(env, 'keys', 'create', '--service', 'ops', '--scope', 'admin')).stdout.trim();
    const reader = (await run(env, 'keys', 'create', '--service', 'eyes', '--scope', 'read')).stdout.trim();
    const remote = (key: string) => ({ METRICS_ADMIN_KEY: key });
    t.equal((await run(remote(admin), 'keys', 'list', '--url', gateway.url)).code, 0);
    const refused = await run(remote(reader), 'keys', 'list', '--url', gateway.url);
    t.match(refused, { code: 77, stderr: /403.*admin/ });
    t.equal((await run(remote('none'), 'keys', 'list', '--url', gateway.url)).code, 77, 'with an unknown one');
    t.equal((await run(remote(admin), 'keys', 'list', '--url', 'http://127.0.0.1:9')).code, 69, 'where nobody listens');
    t.equal((await run({}, 'keys', 'list', '--url', gateway.url)).code, 64, 'without a key');
    t.equal((await run(remote(reader), 'query', 'requests', '--url', gateway.url)).code, 0, 'reading needs read');
  });
});

t.test('without a gateway the data directory is opened by the command', async (t) => {
  const dataDirectory = await directory(t);
  const env = { SQLITE_DB_PATH: join(dataDirectory, 'metrics.db') };
  t.match((await run(env, 'migrate', 'status')).stdout, 'does not exist yet');
  t.match((await run(env, 'migrate', 'up')).stdout, 'applied');
  t.match((await run(env, 'migrate', 'status')).stdout, 'is up to date');
  t.match((await run(env, 'keys', 'create', '--service', 'early')).stdout, SECRET);
  t.match((await run(env, 'keys', 'list')).stdout, 'early');
  t.match((await run(env, 'query', 'top-tools')).stdout, 'nothing found');
  t.match(await run(env, 'tail'), { code: 69, stderr: /no gateway runs/ });
  t.match(await run(env, 'health'), { code: 69 });
});

t.test('a start that lacks a port or a folder ends, says which, and exits 69', async (t) => {
  const taken = createServer().listen(0, '127.0.0.1');
  t.teardown(() => taken.close());
  await once(taken, 'listening');
  const { port } = taken.address() as AddressInfo;
  const [free, other] = [String(await freePort()), String(await freePort())];
  const folder = await directory(t);
  const ports = { METRICS_SERVICE_PORT: free, OTEL_PROMETHEUS_PORT: other, SQLITE_DB_PATH: join(folder, 'metrics.db') };
  for (const [what, env] of [
    ['prometheus', { ...ports, OTEL_PROMETHEUS_PORT: String(port) }],
    ['EADDRINUSE', { ...ports, METRICS_SERVICE_PORT: String(port) }],
    ['EADDRNOTAVAIL', { ...ports, METRICS_SERVICE_HOST: '192.0.2.1' }],
    [ROOT, { ...ports, SQLITE_DB_PATH: join(ROOT, 'package.json', 'metrics.db') }],
  ] as const)
    t.match(await run(env, 'start'), { code: 69, stderr: what }, what);
  const nowhere = await run({ ...ports, SQLITE_DB_PATH: '/proc/nowhere/metrics.db' }, 'start');
  t.match(
    nowhere,
    { code: 1, stderr: '/proc/nowhere cannot be written' },
    'a folder that takes none is no endless wait',
  );
});

t.test('wrong use of the command line exits 64, a wrong configuration 78', async (t) => {
  t.equal((await run({}, 'nosuch')).code, 64);
  for (const wrong of [
    ['demo', '--rate', 'fast'],
    ['start', '--log-level', 'loud'],
    ['keys', 'create'],
    ['keys', 'nosuch'],
    ['keys', 'update', 'key_0000000000000000'],
    ['keys', 'update', 'key_0000000000000000', '--expires', '2027-02-30'],
    ['keys', 'rotate', 'key_0000000000000000', '--overlap', 'long'],
    ['retention', 'set', 'metrics', '--days', 'few'],
  ])
    t.equal((await run({}, ...wrong)).code, 64, wrong.join(' '));
  t.match(await run({}, 'import', '/nowhere.db'), { code: 66, stderr: /no such file/ });
  t.match(await run({}, 'journal', 'inspect', '/nowhere'), { code: 66, stderr: /no journal/ });
  t.match(await run({ METRICS_RATE_LIMIT: 'none' }, 'validate'), {
    code: 78,
    stderr: /METRICS_RATE_LIMIT="none": expected requests a minute/,
  });
  t.match(await run({}, 'validate'), { code: 0, stdout: /is valid: auth → rateLimit → validate → enrich → buffer/ });
  for (const command of ['start', 'keys', 'query', 'doctor', 'demo', 'tail', 'backup', 'import', 'journal']) {
    t.match(await run({}, command, '--help'), { code: 0, stdout: 'Usage: mcp-metrics' }, command);
  }
});
