/** What nginx sees inside requests and answers, of whatever size and form they are, and that none of it changes for that. */
import { execFileSync } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createServer as createTlsServer } from 'node:https';
import { request as httpRequest, type RequestListener } from 'node:http';
import { createServer as createTcpServer, type AddressInfo, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { freePort } from '../support/free-port.ts';
import { programPath, skipWithout } from '../support/tools.ts';
import { waitFor } from '../support/wait-for.ts';
import { NGINX, NGINX_PACKAGES, serve, standIn, startNginx } from './nginx-harness.ts';
import type { Nginx, NginxOptions, Taken } from './nginx-harness.ts';

const skip = skipWithout(NGINX, NGINX_PACKAGES);
const KEY = 'secret-key';

function folderOf(t: Test): string {
  const folder = mkdtempSync(join(tmpdir(), 'nginx-answers-'));
  t.teardown(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

/** nginx in front of `upstream`, emitting to a stand-in for the gateway. */
async function before(
  t: Test,
  upstream: RequestListener,
  more: Partial<NginxOptions> = {},
): Promise<{ nginx: Nginx; taken: Taken[] }> {
  const { taken, listener } = standIn([]);
  const [server, gateway] = [await serve(upstream), await serve(listener)];
  t.teardown(() => Promise.all([server.close(), gateway.close()]));
  const environment = { METRICS_SERVICE_URL: gateway.url, METRICS_API_KEY: KEY };
  const nginx = await startNginx({ folder: folderOf(t), upstream: server.url, environment, ...more });
  t.teardown(() => nginx.stop('SIGTERM'));
  return { nginx, taken };
}

interface Metric {
  readonly dimensions: Readonly<Record<string, unknown>>;
  readonly metadata: Readonly<Record<string, unknown>>;
}

/** The metrics of the stand-in once there are so many. */
async function metricsOf(taken: readonly Taken[], count: number): Promise<readonly Metric[]> {
  const all = (): Metric[] => taken.flatMap(({ metrics }) => metrics as unknown as Metric[]);
  await waitFor(`${count} metrics`, () => all().length >= count);
  return all();
}

const call = (name: string, more: object = {}): object => ({
  jsonrpc: '2.0',
  id: 'a "quoted" id',
  method: 'tools/call',
  params: { name, ...more },
});

const answer = (result: object): string => JSON.stringify({ jsonrpc: '2.0', id: 'a "quoted" id', result });
const FAILED = { content: [{ type: 'text', text: 'no' }], isError: true };

/** Answers every request with these bytes, in pieces that break lines and characters wherever they fall. */
const saying =
  (body: string | Buffer, headers: Readonly<Record<string, string>>, status = 200): RequestListener =>
  (request, response) => {
    request.resume().on('end', () => {
      response.writeHead(status, headers);
      const bytes = Buffer.from(body);
      for (let at = 0; at < bytes.length; at += 4093) response.write(bytes.subarray(at, at + 4093));
      response.end();
    });
  };

const JSON_TYPE = { 'content-type': 'application/json' };
const EVENTS = { 'content-type': 'text/event-stream' };

t.test('a tool that fails at the end of a long event stream has failed', { skip }, async (t) => {
  const note = JSON.stringify({
    jsonrpc: '2.0',
    method: 'notifications/progress',
    params: { message: 'é'.repeat(700) },
  });
  const pretty = JSON.stringify(JSON.parse(answer(FAILED)), null, 2);
  for (const [end, last] of [
    ['\n', `data: ${answer(FAILED)}\n\n`],
    ['\r\n', `: comment\r\nevent: message\r\nid: 7\r\ndata:${pretty.split('\n').join('\r\ndata: ')}\r\n\r\n`],
    ['\n', `data: ${'x'.repeat(100_000)}\n\ndata: ${answer(FAILED)}`],
  ] as const) {
    const stream = `event: message${end}data: ${note}${end}${end}`.repeat(150) + last;
    const { nginx, taken } = await before(t, saying(stream, EVENTS));
    t.equal(await (await nginx.post(call('long'))).text(), stream, 'the stream passes as it is');
    t.match(await metricsOf(taken, 1), [
      { dimensions: { success: false, tool_name: '_other' }, metadata: { error_code: 'tool_error' } },
    ]);
  }
});

t.test('an event stream passes event by event', { skip }, async (t) => {
  let finish: (() => void) | undefined;
  const { nginx, taken } = await before(t, (request, response) => {
    request.resume();
    response.writeHead(200, EVENTS).write(': first\n\n');
    finish = () => response.end(`data: ${answer({})}\n\n`);
  });
  const pieces: string[] = [];
  for await (const piece of (await nginx.post(call('slow'))).body!.pipeThrough(new TextDecoderStream())) {
    pieces.push(piece);
    // Its server goes on only once the client has the beginning.
    if (pieces.length === 1) finish!();
  }
  t.equal(pieces[0], ': first\n\n');
  t.equal(pieces.length, 2);
  t.match(await metricsOf(taken, 1), [{ dimensions: { success: true, tool_name: 'slow' } }]);
});

t.test('answers too long to be read tell by their beginning or end', { skip }, async (t) => {
  const text = `"isError":true}} ${'long '.repeat(40_000)}\\"isError\\":true}}`;
  for (const [result, success] of [
    [{ content: [{ type: 'text', text }], isError: true }, false],
    [{ isError: true, content: [{ type: 'text', text }] }, false],
    [{ content: [{ type: 'text', text }], isError: false }, true],
    [{ content: [{ type: 'text', text }] }, true],
  ] as const) {
    const { nginx, taken } = await before(t, saying(answer(result), JSON_TYPE));
    t.equal(await (await nginx.post(call('long'))).text(), answer(result));
    t.match(await metricsOf(taken, 1), [{ dimensions: { success } }]);
  }
});

t.test('an answer that nginx itself compresses is read before', { skip }, async (t) => {
  const http = 'gzip on; gzip_types application/json; gzip_min_length 0; gzip_proxied any;';
  const { nginx, taken } = await before(t, saying(answer(FAILED), JSON_TYPE), { http });
  const response = await nginx.post(call('packed'), { 'accept-encoding': 'gzip' });
  t.equal(response.headers.get('content-encoding'), 'gzip');
  t.equal(await response.text(), answer(FAILED));
  t.match(await metricsOf(taken, 1), [{ dimensions: { success: false }, metadata: { error_code: 'tool_error' } }]);
});

t.test('binary bodies pass to the byte', { skip }, async (t) => {
  const bytes = randomBytes(3_000_000);
  const hash = (data: Uint8Array): string => createHash('sha256').update(data).digest('hex');
  let seen = '';
  const { nginx } = await before(t, (request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      seen = hash(Buffer.concat(chunks));
      response.writeHead(200, { 'content-type': 'application/octet-stream' }).end(bytes);
    });
  });
  const response = await nginx.post(bytes);
  t.equal(hash(new Uint8Array(await response.arrayBuffer())), hash(bytes));
  t.equal(seen, hash(bytes));
  await waitFor('its count', async () => (await nginx.books()).unread === 1);
});

t.test('large requests: by their beginning, by their headers, else counted', { skip }, async (t) => {
  const { nginx, taken } = await before(t, saying(answer(FAILED), JSON_TYPE));
  await (await nginx.post(call('beginning', { arguments: 'x'.repeat(100_000) }))).text();
  const headers = { 'mcp-method': 'tools/call', 'mcp-name': 'by-header' };
  await (await nginx.post(call('x', { arguments: 'x'.repeat(400_000) }), headers)).text();
  const notification = { 'mcp-method': 'notifications/progress' };
  await (await nginx.post(call('x', { arguments: 'x'.repeat(400_000) }), notification)).text();
  for (const size of [10, 400_000]) {
    await new Promise((resolve, reject) => {
      const request = httpRequest(nginx.url, { method: 'POST', headers: { 'transfer-encoding': 'chunked' } }, (got) =>
        got.resume().on('end', resolve),
      );
      request.on('error', reject).end(JSON.stringify(call('chunked', { arguments: 'x'.repeat(size) })));
    });
  }
  const metrics = await metricsOf(taken, 3);
  t.strictSame(
    metrics.map(({ dimensions, metadata }) => [
      metadata['actual_tool_name'],
      dimensions['success'],
      metadata['error_code'],
    ]),
    ['beginning', 'by-header', 'chunked'].map((name) => [name, false, 'tool_error']),
  );
  t.match(await nginx.books(), { recorded: 3, unread: 2 });
});

t.test('names that nobody was let in with are no labels', { skip }, async (t) => {
  const { nginx, taken } = await before(t, saying('{"detail":"who are you?"}', JSON_TYPE, 401));
  for (const name of ['made', 'up', 'names']) await (await nginx.post(call(name))).text();
  t.match(
    await metricsOf(taken, 3),
    ['made', 'up', 'names'].map((name) => ({
      dimensions: { tool_name: '_other', success: false },
      metadata: { actual_tool_name: name, error_code: '401' },
    })),
  );
});

t.test('odd answers become clean records', { skip }, async (t) => {
  const initialize = {
    jsonrpc: '2.0',
    id: 'a "quoted" id',
    method: 'initialize',
    params: { protocolVersion: 'asked' },
  };
  const error = (code: string): string => `{"jsonrpc":"2.0","id":"a \\"quoted\\" id","error":{"code":${code}}}`;
  for (const [body, metadata] of [
    [answer({ protocolVersion: 'agreed' }), { protocol_version: 'agreed' }],
    [error('-32602'), { error_code: '-32602', protocol_version: 'asked' }],
    [error('"\xff"'), { error_code: 'error' }],
    [error('null'), { error_code: 'error' }],
    [error('1e300'), { error_code: 'error' }],
    [error('1.5'), { error_code: 'error' }],
  ] as const) {
    const { nginx, taken } = await before(t, saying(Buffer.from(body, 'latin1'), JSON_TYPE));
    await (await nginx.post(initialize)).text();
    t.match(await metricsOf(taken, 1), [{ metadata }]);
  }
});

t.test('a gateway that answers nonsense is asked again, not at once', { skip }, async (t) => {
  const { taken, listener } = standIn([]);
  let tries = 0;
  const sockets = new Set<Socket>();
  const nonsense = createTcpServer((socket) => {
    sockets.add(socket);
    socket
      .on('error', () => {})
      .once('data', () => {
        tries += 1;
        socket.end('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n\r\n');
      });
  });
  nonsense.listen(0, '127.0.0.1');
  await new Promise((resolve) => nonsense.once('listening', resolve));
  const { port } = nonsense.address() as AddressInfo;
  const environment = { METRICS_SERVICE_URL: `http://127.0.0.1:${port}`, METRICS_API_KEY: KEY };
  const { nginx } = await before(t, saying(answer({}), JSON_TYPE), { environment });
  await (await nginx.post(call('kept'))).text();
  await waitFor('tries', () => tries >= 2);
  t.match(nginx.errorLog(), /cannot take them now \(a chunk without a length\)/);
  nonsense.close();
  sockets.forEach((socket) => socket.destroy());
  const gateway = await serve(listener, undefined, port);
  t.teardown(gateway.close);
  await metricsOf(taken, 1);
  t.match(await nginx.books(), { recorded: 1, delivered: 1, dropped: 0 });
});

t.test(
  'a gateway behind TLS that goes and comes back, with a reload of nginx between',
  { skip: skip || skipWithout(programPath('openssl'), 'openssl') },
  async (t) => {
    const folder = folderOf(t);
    const [key, certificate] = [join(folder, 'key.pem'), join(folder, 'certificate.pem')];
    const of = ['-subj', '/CN=127.0.0.1', '-addext', 'subjectAltName=IP:127.0.0.1'];
    const files = ['-keyout', key, '-out', certificate];
    execFileSync('openssl', ['req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-days', '2', ...files, ...of], {
      stdio: 'ignore',
    });
    const { taken, listener } = standIn([]);
    const port = await freePort();
    const start = (): ReturnType<typeof serve> =>
      serve(
        listener,
        (handler) => createTlsServer({ key: readFileSync(key), cert: readFileSync(certificate) }, handler),
        port,
      );
    let gateway = await start();
    t.teardown(() => gateway.close());
    const { nginx } = await before(t, saying(answer({}), JSON_TYPE), {
      environment: { METRICS_SERVICE_URL: `https://127.0.0.1:${port}`, METRICS_API_KEY: KEY },
      http: `lua_ssl_trusted_certificate ${certificate};`,
    });
    // A connection of its own for each: the reload closes those that are kept.
    const send = async (name: string): Promise<void> =>
      void (await (await nginx.post(call(name), { connection: 'close' })).text());
    await send('before');
    await metricsOf(taken, 1);
    await gateway.close();
    for (let i = 0; i < 20; i += 1) await send(`without-${i}`);
    await waitFor('a try in vain', async () => (await nginx.books()).retries > 0);
    nginx.signal('SIGHUP');
    for (let i = 0; i < 20; i += 1) await send(`reloaded-${i}`);
    gateway = await start();
    const metrics = await metricsOf(taken, 41);
    t.equal(new Set(metrics.map(({ metadata }) => metadata['actual_tool_name'])).size, 41, 'each once');
    await waitFor('the books', async () => (await nginx.books()).delivered === 41);
    t.match(await nginx.books(), { recorded: 41, dropped: 0, rejected: 0, queued: 0, in_flight: 0 });
  },
);

t.test('an address with a password in it is refused without being repeated', { skip }, async (t) => {
  const environment = { METRICS_SERVICE_URL: 'http://me:hunter2@127.0.0.1:8890', METRICS_API_KEY: KEY };
  const error = await before(t, saying('', JSON_TYPE), { environment }).catch((cause: Error) => cause.message);
  t.match(error, /METRICS_SERVICE_URL must be an address alone/);
  t.notMatch(error, /hunter2/);
});
