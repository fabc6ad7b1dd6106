/** nginx with the Lua modules in front of real MCP servers and odd ones, emitting to a real gateway and to one that refuses. */
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createServer as createTlsServer } from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import Database from 'better-sqlite3';
import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js';
import t, { type Test } from 'tap';
import { startChild } from '../support/child.ts';
import { freePort } from '../support/free-port.ts';
import { startGateway } from '../support/gateway.ts';
import { plainNode } from '../support/plain-node.ts';
import { sumOf } from '../support/prometheus-text.ts';
import { ROOT } from '../support/root.ts';
import { programPath, skipWithout } from '../support/tools.ts';
import { waitFor } from '../support/wait-for.ts';
import { answering, NGINX, NGINX_PACKAGES, serve, standIn, startExample, startNginx } from './nginx-harness.ts';
import type { Nginx, NginxOptions, Script, Taken } from './nginx-harness.ts';

const skip = skipWithout(NGINX, NGINX_PACKAGES);
const EVERYTHING = join(ROOT, 'node_modules/@modelcontextprotocol/server-everything/dist/index.js');

/** A folder of its own for each program of a test. */
const folderOf = (t: Test): string => {
  const folder = mkdtempSync(join(tmpdir(), 'nginx-emitter-'));
  t.teardown(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
};

const call = (name: string, id: number | string = 1): object => ({
  jsonrpc: '2.0',
  id,
  method: 'tools/call',
  params: { name, arguments: { secret: 'never sent' } },
});

async function everything(t: Test): Promise<string> {
  const port = await freePort();
  const child = await startChild(...plainNode(EVERYTHING, 'streamableHttp'), { env: { PORT: String(port) } });
  t.teardown(() => child.stop('SIGKILL'));
  const url = `http://127.0.0.1:${port}`;
  await waitFor('the MCP server', () => fetch(`${url}/mcp`).then(() => true));
  return url;
}

async function session(url: string): Promise<string[]> {
  const client = new Client({ name: 'edge-client', version: '4.5.6' });
  await client.connect(new StreamableHTTPClientTransport(new URL(`${url}mcp`)));
  const answers = [];
  for (const make of [
    () => client.listTools(),
    () => client.callTool({ name: 'echo', arguments: { message: 'héllo' } }),
    () => client.callTool({ name: 'trigger-long-running-operation', arguments: { duration: 0.3, steps: 3 } }),
    () => client.callTool({ name: 'get-sum', arguments: { a: 'not a number' } }),
    () => client.callTool({ name: 'drop-all-tables', arguments: {} }),
    () => client.getPrompt({ name: 'no-such-prompt' }),
    () => client.ping(),
  ]) {
    answers.push(JSON.stringify(await make().catch((error: Error) => ({ failed: error.message }))));
  }
  await client.close();
  return answers;
}

/** nginx before a server that answers everything, emitting to a stand-in that follows the script. */
async function before(
  t: Test,
  script: Script[],
  more: Partial<NginxOptions> = {},
): Promise<{ nginx: Nginx; taken: Taken[]; script: Script[] }> {
  const { taken, listener } = standIn(script);
  const [upstream, gateway] = [await serve(answering), await serve(listener)];
  t.teardown(() => Promise.all([upstream.close(), gateway.close()]));
  const nginx = await startNginx({
    folder: folderOf(t),
    upstream: upstream.url,
    environment: { METRICS_SERVICE_URL: gateway.url, METRICS_API_KEY: 'secret-key' },
    ...more,
  });
  t.teardown(() => nginx.stop('SIGTERM'));
  return { nginx, taken, script };
}

const settled = async (nginx: Nginx, metrics: number): Promise<void> => {
  await waitFor('the queue to be delivered', async () => {
    const { delivered, rejected, dropped } = await nginx.books();
    return delivered + rejected + dropped === metrics;
  });
};

t.test('a real MCP server behind nginx', { skip }, async (t) => {
  const gateway = await startGateway({ dataDirectory: folderOf(t) });
  t.teardown(() => gateway.stop('SIGKILL'));
  const upstream = await everything(t);
  const nginx = await startNginx({
    folder: folderOf(t),
    upstream,
    environment: { METRICS_SERVICE_URL: `${gateway.url}/`, METRICS_API_KEY: gateway.key, METRICS_USER_HASH_SALT: 's' },
  });
  t.teardown(() => nginx.stop('SIGTERM'));
  t.strictSame(await session(nginx.url), await session(`${upstream}/`), 'answers pass unchanged');
  await nginx.post(call('echo'), { 'x-user': 'alice' });
  await settled(nginx, 9);
  await gateway.flush();

  const database = new Database(gateway.databasePath, { readonly: true });
  t.teardown(() => database.close());
  const rows = database.prepare('SELECT * FROM tool_metrics ORDER BY id').all() as Record<string, unknown>[];
  t.match(rows, [
    { method: 'initialize', tool_name: 'initialize', success: 1, error_code: null },
    { method: 'tools/list', tool_name: 'tools/list', success: 1 },
    { method: 'tools/call', tool_name: 'echo', success: 1 },
    { method: 'tools/call', tool_name: 'trigger-long-running-operation', success: 1 },
    { method: 'tools/call', tool_name: 'get-sum', success: 0, error_code: 'tool_error' },
    { method: 'tools/call', tool_name: '_other', success: 0, error_code: 'tool_error' },
    { method: 'prompts/get', success: 0, error_code: '-32602' },
    { method: 'ping', success: 1 },
    // No session, so the server refuses the request itself.
    { method: 'tools/call', success: 0, user_hash: createHash('sha256').update('s:alice').digest('hex').slice(0, 12) },
  ]);
  for (const row of rows.slice(0, 8)) {
    t.match(row, {
      service: 'edge',
      server_name: 'mcp-server',
      server_path: '/mcp-server/',
      client_name: 'edge-client',
      client_version: '4.5.6',
    });
    t.ok((row['input_size_bytes'] as number) > 30 && (row['output_size_bytes'] as number) > 30, 'sizes');
  }
  const long = rows[3]!['duration_ms'] as number;
  t.ok(long >= 290 && long < 5000, `the upstream's time: ${long}`);
  t.equal(sumOf(await gateway.scrape(), 'mcp_tool_executions_total', { service: 'edge' }), 9);
  t.equal(sumOf(await gateway.scrape(), 'mcp_tool_executions_total', { tool_name: 'get-sum', success: 'false' }), 1);
});

t.test('users have the hashes that every client gives them', { skip }, async (t) => {
  interface Vector {
    readonly why: string;
    readonly apiKey: string;
    readonly environmentSalt: string | null;
    readonly optionSalt: string | null;
    readonly user: string;
    readonly hash: string;
  }
  const vectors = JSON.parse(readFileSync(join(ROOT, 'clients/user-hash-vectors.json'), 'utf8')) as readonly Vector[];
  const settings = ({ apiKey, environmentSalt, optionSalt }: Vector): string =>
    JSON.stringify([apiKey, environmentSalt, optionSalt]);
  for (const same of Map.groupBy(vectors, settings).values()) {
    const { apiKey, environmentSalt, optionSalt } = same[0]!;
    const { taken, listener } = standIn([]);
    const [upstream, gateway] = [await serve(answering), await serve(listener)];
    t.teardown(() => Promise.all([upstream.close(), gateway.close()]));
    const port = await freePort();
    const nginx = await startNginx({
      folder: folderOf(t),
      upstream: upstream.url,
      environment: {
        METRICS_SERVICE_URL: gateway.url,
        METRICS_API_KEY: apiKey,
        ...(environmentSalt !== null && { METRICS_USER_HASH_SALT: environmentSalt }),
      },
      options: optionSalt === null ? '' : `user_salt = "${optionSalt}"`,
      // From the address, since a header has no white space around it.
      http: `server {
        listen 127.0.0.1:${port};
        location / {
          set_by_lua_block $mcp_user { return ngx.unescape_uri(ngx.var.arg_user) }
          proxy_pass ${upstream.url};
          include ${ROOT}/clients/nginx/location.conf;
        }
      }`,
    });
    t.teardown(() => nginx.stop('SIGTERM'));
    for (const { user } of same) {
      await fetch(`http://127.0.0.1:${port}/?user=${encodeURIComponent(user.toWellFormed())}`, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify(call('echo')),
      });
    }
    await settled(nginx, same.length);
    const sent = taken.flatMap(({ metrics }) => metrics.map(({ dimensions }) => dimensions as { user_hash?: string }));
    for (const [index, { why, hash }] of same.entries()) t.equal(sent[index]!.user_hash ?? '', hash, why);
  }
});

t.test('a gateway killed under nginx loses nothing and counts nothing twice', { skip }, async (t) => {
  const dataDirectory = folderOf(t);
  let gateway = await startGateway({ dataDirectory });
  t.teardown(() => gateway.stop('SIGKILL'));
  const upstream = await serve(answering);
  t.teardown(upstream.close);
  const nginx = await startNginx({
    folder: folderOf(t),
    upstream: upstream.url,
    environment: { METRICS_SERVICE_URL: gateway.url, METRICS_API_KEY: gateway.key },
    options: 'max_batch = 20',
  });
  t.teardown(() => nginx.stop('SIGTERM'));
  const [port, scrapePort] = [gateway.url, gateway.scrapeUrl].map((url) => Number(new URL(url).port)) as [
    number,
    number,
  ];
  let sent = 0;
  for (let round = 0; round < 3; round += 1) {
    const load = (async () => {
      for (let i = 0; i < 150; i += 1) await nginx.post(call(`tool-${(sent += 1)}`)).then((answer) => answer.text());
    })();
    const { delivered } = await nginx.books();
    await waitFor('some to be delivered', async () => (await nginx.books()).delivered > delivered + 20);
    await gateway.stop('SIGKILL');
    await load;
    gateway = await startGateway({ dataDirectory, key: gateway.key, port, scrapePort });
  }
  await settled(nginx, sent);
  t.match(await nginx.books(), { recorded: sent, delivered: sent, dropped: 0, rejected: 0, queued: 0, in_flight: 0 });
  await gateway.flush();
  const database = new Database(gateway.databasePath, { readonly: true });
  t.teardown(() => database.close());
  const counted = database
    .prepare("SELECT count(*) AS n, count(DISTINCT metadata ->> '$.actual_tool_name') AS tools FROM tool_metrics")
    .get();
  t.strictSame(counted, { n: sent, tools: sent });
});

t.test('what is refused for a while is kept, and sent again as it was', { skip }, async (t) => {
  for (const status of [408, 409, 429, 500, 503]) {
    const { nginx, taken } = await before(t, [[status], [status, { 'retry-after': '0' }]]);
    await nginx.post(call('kept'));
    await settled(nginx, 1);
    t.equal(taken.length, 3, `${status}: two tries in vain, and a third`);
    t.equal(new Set(taken.map(({ key, body }) => key + body)).size, 1, 'the same key and the same bytes');
    t.match(taken[0]!.key, /^[0-9a-f]{32}$/);
    t.match(await nginx.books(), { delivered: 1, retries: 2, requests: 3 });
    t.match(nginx.errorLog(), /cannot take them now/);
  }
});

t.test('Retry-After is waited for', { skip }, async (t) => {
  const { nginx, taken } = await before(t, [[429, { 'retry-after': '1' }]]);
  await nginx.post(call('patient'));
  await settled(nginx, 1);
  const waited = taken[1]!.at - taken[0]!.at;
  t.ok(waited >= 1000 && waited < 3000, `${waited} ms`);
});

t.test('what is refused for good is counted, said, and holds up nothing', { skip }, async (t) => {
  const problem = { detail: 'none acceptable', errors: ['metrics[0].value: too large'] };
  const { nginx, taken } = await before(t, [
    [422, {}, problem],
    [200, {}, { accepted: 0, rejected: 1 }],
  ]);
  for (const name of ['refused', 'rejected', 'taken']) {
    await nginx.post(call(name));
    await waitFor('its request', () => taken.some(({ body }) => body.includes(name)));
  }
  await settled(nginx, 3);
  t.match(await nginx.books(), { delivered: 1, rejected: 2, retries: 0 });
  t.match(nginx.errorLog(), /1 refused with 422 for what is in them: metrics\[0\]\.value: too large/);
});

t.test('a batch that may have arrived is not sent for ever, since the gateway forgets its key', { skip }, async (t) => {
  const { nginx, taken, script } = await before(
    t,
    Array.from({ length: 1000 }, (): Script => [503]),
    { options: 'max_batch_age = 0.3' },
  );
  await nginx.post(call('old'));
  await waitFor('its end', async () => (await nginx.books()).dropped === 1);
  t.ok(taken.length > 0);
  script.length = 0;
  await nginx.post(call('new'));
  await settled(nginx, 2);
  t.match(await nginx.books(), { recorded: 2, delivered: 1, dropped: 1, queued: 0, in_flight: 0 });
  t.match(nginx.errorLog(), /1 are too old/);
});

t.test('a wrong key is said, without the key, and nothing is dropped for it', { skip }, async (t) => {
  const { nginx, taken } = await before(t, [[401, {}, { detail: 'Unknown key' }], [403]]);
  await nginx.post(call('kept'));
  await settled(nginx, 1);
  t.equal(taken[0]!.headers['x-api-key'], 'secret-key');
  t.match(nginx.errorLog(), /does not take them \(401 Unknown key\)/);
  t.notMatch(nginx.errorLog(), /secret-key/);
});

t.test('batches: up to the limit in one request, halved where they are too large', { skip }, async (t) => {
  const { nginx, taken } = await before(t, [[413], [413]], { options: 'flush_interval = 1, max_batch = 8' });
  await Promise.all(Array.from({ length: 16 }, (_, i) => nginx.post(call(`tool-${i}`, i))));
  await settled(nginx, 16);
  t.strictSame(
    taken.slice(0, 3).map(({ metrics }) => metrics.length),
    [8, 4, 2],
  );
  t.equal(new Set(taken.map(({ key }) => key)).size, taken.length, 'each with a key of its own');
  const names = taken.slice(2).flatMap(({ metrics }) => metrics.map(({ metadata }) => metadata));
  t.equal(names.length, 16);
  t.equal(new Set(names.map((name) => JSON.stringify(name))).size, 16, 'each once');
});

t.test('the queue is bounded: the oldest go, counted', { skip }, async (t) => {
  const { nginx, taken } = await before(
    t,
    Array.from({ length: 1000 }, () => [503] as const),
    {
      options: 'max_queue = 10, max_batch = 5',
    },
  );
  await nginx.post(call('under way'));
  await waitFor('a refusal', () => taken.length > 0);
  await Promise.all(Array.from({ length: 40 }, (_, i) => nginx.post(call(`tool-${i}`))));
  // nginx records after it has answered, and an attempt turns the batch round.
  await waitFor('all to be recorded', async () => {
    const { recorded, dropped, queued, in_flight } = await nginx.books();
    return recorded === 41 && dropped + queued + in_flight === 41;
  });
  t.match(await nginx.books(), { dropped: 30, queued: 10 });
});

t.test('a reload and a killed worker keep the queue; the end of nginx sends it', { skip }, async (t) => {
  const { nginx, taken, script } = await before(t, [[503, { 'retry-after': '3600' }]], { workers: 1 });
  await nginx.post(call('in flight'));
  await waitFor('the refusal', () => taken.length === 1);
  for (const [index, signal] of (['SIGHUP', 'SIGKILL'] as const).entries()) {
    await nginx.post(call(signal));
    await waitFor('its record, which follows the answer', async () => (await nginx.books()).recorded === index + 2);
    const pid = (): number => Number(/worker process (\d+)\n*$/m.exec(workers(nginx.pid))?.[1]);
    const worker = pid();
    if (signal === 'SIGHUP') nginx.signal(signal);
    else process.kill(worker, signal);
    // A worker that ends tries once more; it is refused as well.
    script.push([503, { 'retry-after': '3600' }]);
    await waitFor('another worker', async () => pid() !== worker && (await nginx.books()).recorded > 0);
  }
  const { recorded, queued, in_flight } = await nginx.books();
  t.strictSame({ recorded, kept: queued + in_flight }, { recorded: 3, kept: 3 });
  script.length = 0;
  await nginx.stop('SIGQUIT');
  t.equal(taken.at(-1)!.metrics.length + taken.at(-2)!.metrics.length, 3, 'all of it');
  t.equal(new Set(taken.filter(({ body }) => body.includes('in flight')).map(({ key }) => key)).size, 1, 'one key');
});

const workers = (master: number): string =>
  execFileSync('ps', ['--ppid', String(master), '-o', 'args=,pid='])
    .toString()
    .split('\n')
    .filter((line) => !line.includes('shutting down'))
    .map((line) => line.replace(/^nginx: worker process\s+(\d+)$/, 'worker process $1'))
    .join('\n')
    .trim();

t.test('what comes in a body never harms a request, nor a batch', { skip }, async (t) => {
  const { nginx, taken } = await before(t, []);
  const deep = '['.repeat(5000);
  const bytes = (text: string): Buffer => Buffer.from(text, 'latin1');
  const wide = 'x'.repeat(100_000);
  for (const [body, metrics] of [
    ['', 0],
    ['not JSON', 0],
    [deep, 0],
    ['{"method":1,"id":1}', 0],
    [{ jsonrpc: '2.0', method: 'notifications/initialized' }, 0],
    [{ jsonrpc: '2.0', id: 1, result: {} }, 0],
    [[call('one', 1), { jsonrpc: '2.0', method: 'notifications/x' }, call('two', 'b')], 2],
    [bytes('{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"\xff\xfe\xe2\x82"}}'), 1],
    [call('"; DROP TABLE\n\u0000\u{1F600}'.repeat(50)), 1],
    [{ jsonrpc: '2.0', id: 1, method: 'made/up', params: null }, 1],
    [{ jsonrpc: '2.0', id: 1, method: 'tools/call', params: { name: 7 } }, 1],
    [{ jsonrpc: '2.0', id: 1, method: 'initialize', params: { clientInfo: { name: ['x'], version: {} } } }, 1],
    [{ jsonrpc: '2.0', id: 5, method: 'tools/call', params: { name: 'large', arguments: { wide } } }, 1],
    [{ jsonrpc: '2.0', id: 5, method: 'tools/call', params: { arguments: { name: 'inner', wide }, name: 'late' } }, 1],
  ] as const) {
    const { recorded } = await nginx.books();
    const answer = await nginx.post(body);
    t.equal(answer.status, 200);
    await answer.text();
    await waitFor(`${metrics} metrics`, async () => (await nginx.books()).recorded === recorded + metrics);
  }
  await (await nginx.post(call('x'.repeat(400_000)))).text();
  await waitFor('the count of what was too large', async () => (await nginx.books()).unread === 1);
  t.equal((await nginx.post(call('denied'), { 'x-answer-status': '403' })).status, 403);
  await settled(nginx, 10);
  const all = taken.flatMap(({ metrics }) => metrics) as { dimensions: Record<string, unknown>; metadata: unknown }[];
  const names = all.map(({ dimensions }) => dimensions['tool_name']);
  t.strictSame(names.slice(0, 3), ['one', 'two', '????']);
  t.match(names[3], /^"; DROP TABLE\n\0😀/);
  t.strictSame(names.slice(4), ['_other', 'tools/call', 'initialize', 'large', 'tools/call', '_other']);
  t.match(all.at(-1), { dimensions: { success: false }, metadata: { error_code: '403' } });
  t.notMatch(JSON.stringify(taken), 'never sent', 'arguments stay here');
});

t.test(
  'over TLS, with a certificate that is checked',
  { skip: skip || skipWithout(programPath('openssl'), 'openssl') },
  async (t) => {
    const folder = folderOf(t);
    const [key, certificate] = [join(folder, 'key.pem'), join(folder, 'certificate.pem')];
    const subject = ['-subj', '/CN=127.0.0.1', '-addext', 'subjectAltName=IP:127.0.0.1,DNS:localhost'];
    execFileSync(
      'openssl',
      ['req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-days', '2', '-keyout', key, '-out', certificate, ...subject],
      { stdio: 'ignore' },
    );
    const { taken, listener } = standIn([]);
    const gateway = await serve(listener, (handler) =>
      createTlsServer({ key: readFileSync(key), cert: readFileSync(certificate) }, handler),
    );
    t.teardown(gateway.close);
    const environment = {
      METRICS_SERVICE_URL: gateway.url.replace('http:', 'https:').replace('127.0.0.1', 'localhost'),
      METRICS_API_KEY: 'k',
    };
    const trusted = await before(t, [], { environment, http: `lua_ssl_trusted_certificate ${certificate};` });
    await trusted.nginx.post(call('encrypted'));
    await settled(trusted.nginx, 1);
    t.match(taken[0]!.body, /encrypted/);

    const strange = await before(t, [], { environment });
    await strange.nginx.post(call('unsent'));
    await waitFor('the reason', () => /no TLS/.test(strange.nginx.errorLog()));
    t.match(await strange.nginx.books(), { delivered: 0, dropped: 0 });
    t.notOk(taken.some(({ body }) => body.includes('unsent')));
  },
);

t.test('the example configuration works as it stands', { skip }, async (t) => {
  const { taken, listener } = standIn([]);
  const [upstream, gateway] = [await serve(answering), await serve(listener)];
  t.teardown(() => Promise.all([upstream.close(), gateway.close()]));
  const environment = { METRICS_SERVICE_URL: gateway.url, METRICS_API_KEY: 'k' };
  const nginx = await startExample(folderOf(t), upstream.url, environment);
  t.teardown(() => nginx.stop('SIGTERM'));
  const answer = await fetch(`${nginx.url}/currenttime/mcp`, { method: 'POST', body: JSON.stringify(call('now')) });
  t.equal(answer.status, 200);
  await answer.text();
  await waitFor('its metric', () => taken.length > 0);
  t.match(taken[0]!.metrics, [
    { dimensions: { tool_name: 'now', server_name: 'currenttime', server_path: '/currenttime/', success: true } },
  ]);
});

t.test('faults of the configuration are told before anything runs', { skip }, async (t) => {
  const upstream = await serve(answering);
  t.teardown(upstream.close);
  for (const [options, environment, message] of [
    ['max_batch = "many"', {}, 'option max_batch must be a number, not string'],
    ['max_btch = 5', {}, 'there is no option max_btch'],
    ['dict = "nowhere"', {}, 'nginx.conf needs a line `lua_shared_dict nowhere 10m;`'],
    [
      '',
      { METRICS_SERVICE_URL: 'gateway:8890' },
      'METRICS_SERVICE_URL must look like http://host:8890, not gateway:8890',
    ],
  ] as const) {
    const starting = startNginx({ folder: folderOf(t), upstream: upstream.url, environment, options });
    await t.rejects(starting, { message: new RegExp(message.replaceAll(/[`()]/g, '.')) });
  }
  const off = await startNginx({ folder: folderOf(t), upstream: upstream.url, environment: {} });
  t.teardown(() => off.stop('SIGTERM'));
  t.equal((await off.post(call('unseen'))).status, 200);
  t.match(await off.books(), { recorded: 0 });
  t.match(off.errorLog(), /MCP metrics are off: no API key/);
});
