import { once } from 'node:events';
import { createServer, request, type RequestListener } from 'node:http';
import { connect, type AddressInfo, type Socket } from 'node:net';
import type { HttpBindings } from '@hono/node-server';
import t, { type Test } from 'tap';
import type { AuthMetricsOptions } from '../../../src/client/http/node.ts';
import { waitFor } from '../../support/wait-for.ts';
import { captureMetrics } from '../captured-metrics.ts';
import { SERVICES } from './frameworks.ts';

/** Asks, and leaves before there is an answer. */
async function askAndLeave(url: string, when: () => Promise<unknown>): Promise<void> {
  const asking = request(url);
  asking.on('error', () => {});
  asking.end();
  await when();
  asking.destroy();
}

for (const [framework, start] of Object.entries(SERVICES)) {
  t.test(`${framework}: authMetrics tells success, duration, method, server and user of each request`, async (t) => {
    const { client, metrics } = captureMetrics();
    const service = await start('auth', client);
    t.teardown(() => service.close());
    const headers = {
      'x-original-url': 'https://gateway.example/currenttime/mcp?x=1',
      authorization: 'Bearer secret-token',
    };
    const good = await fetch(`${service.url}/api/v1/servers/a`, { headers });
    t.strictSame([good.status, await good.json()], [200, { id: 'a' }]);
    const denied = await fetch(`${service.url}/denied`, { headers });
    t.strictSame([denied.status, await denied.text()], [403, 'no']);
    await fetch(`${service.url}/denied`, { headers: { 'x-original-url': '/made-up-by-a-scanner/' } });
    await waitFor('three metrics', async () => (await metrics()).length === 3);
    const seen = (await metrics('auth_request')).map(({ dimensions, metadata, duration_ms: duration }) => {
      t.ok(duration! >= 0 && duration! < 1000);
      return { ...dimensions, error: metadata['error_code'] };
    });
    const user = client.hashUser('alice');
    t.strictSame(seen, [
      { success: true, method: 'jwt', server: 'currenttime', user_hash: user, error: undefined },
      { success: false, method: 'bearer', server: 'currenttime', user_hash: '', error: '403' },
      { success: false, method: 'unknown', server: 'unknown', user_hash: '', error: '403' },
    ]);
    t.notMatch(JSON.stringify(await metrics()), /alice|secret-token/);
  });

  t.test(`${framework}: registryMetrics tells operation and resource type`, async (t) => {
    const { client, metrics } = captureMetrics();
    const service = await start('registry', client);
    t.teardown(() => service.close());
    await fetch(`${service.url}/api/v1/servers/one`);
    await fetch(`${service.url}/api/v1/servers`, { method: 'POST' });
    await fetch(`${service.url}/wp-admin/setup.php`, { method: 'DELETE' });
    await waitFor('three metrics', async () => (await metrics()).length === 3);
    const seen = (await metrics('registry_operation')).map(({ dimensions, metadata }) => [
      dimensions['operation'],
      dimensions['resource_type'],
      dimensions['success'],
      metadata['error_code'],
    ]);
    t.strictSame(seen, [
      ['read', 'servers', true, undefined],
      ['create', 'servers', true, undefined],
      ['delete', 'unknown', false, '404'],
    ]);
  });

  t.test(`${framework}: discoveryMetrics tells the query, and what the handler adds`, async (t) => {
    const { client, metrics } = captureMetrics();
    const service = await start('discovery', client);
    t.teardown(() => service.close());
    await fetch(`${service.url}/api/v1/servers/search?query=current%20time`);
    await waitFor('a metric', async () => (await metrics()).length === 1);
    t.match(await metrics('tool_discovery'), [
      {
        dimensions: { query: 'current time', results_count: 3, top_k_services: 5, success: true },
        metadata: { embedding_time_ms: 4 },
      },
    ]);
  });

  t.test(
    `${framework}: a thrown error goes where it would without the middleware, and counts as a failure`,
    async (t) => {
      const { client, metrics } = captureMetrics();
      const [plain, service] = [await start('auth', undefined), await start('auth', client)];
      t.teardown(() => Promise.all([plain.close(), service.close()]));
      const answer = async ({ url }: { readonly url: string }): Promise<unknown> => {
        const response = await fetch(`${url}/throws`);
        return [response.status, await response.text()];
      };
      t.strictSame(await answer(service), await answer(plain));
      await waitFor('a metric', async () => (await metrics()).length === 1);
      t.match(await metrics(), [{ dimensions: { success: false }, metadata: { error_code: '500' } }]);
    },
  );

  t.test(`${framework}: an event stream flows at once and to its end, and is recorded as it begins`, async (t) => {
    const { client, metrics } = captureMetrics();
    const service = await start('auth', client);
    t.teardown(() => service.close());
    const response = await fetch(`${service.url}/events`);
    t.equal(response.headers.get('content-type'), 'text/event-stream');
    const reader = response.body!.pipeThrough(new TextDecoderStream()).getReader();
    t.match((await reader.read()).value, /^data: first/);
    const [metric, ...more] = await metrics();
    t.match(metric, { dimensions: { success: true } });
    t.strictSame(more, []);
    service.endStream();
    let rest = '';
    for (let part = await reader.read(); !part.done; part = await reader.read()) rest += part.value;
    t.match(rest, /data: last/);
    t.equal((await metrics()).length, 1, 'once');
  });

  t.test(`${framework}: a client that leaves before its answer is told apart`, async (t) => {
    const { client, metrics } = captureMetrics();
    let arrived = 0;
    const service = await start('auth', client);
    t.teardown(() => service.close());
    await askAndLeave(`${service.url}/hangs`, async () => {
      // The request is there once a later one is answered.
      for (; arrived < 3; arrived += 1) await (await fetch(`${service.url}/denied`)).text();
    });
    const aborted = await waitFor('the aborted request', async () =>
      (await metrics()).find(({ metadata }) => metadata['error_code'] === 'aborted'),
    );
    t.match(aborted, { dimensions: { success: false } });
    t.equal((await metrics()).length, 4);
  });

  t.test(`${framework}: a client that leaves in the middle of its answer is told apart`, async (t) => {
    const { client, metrics } = captureMetrics();
    const service = await start('auth', client);
    t.teardown(() => service.close());
    const controller = new AbortController();
    const response = await fetch(`${service.url}/part`, { signal: controller.signal });
    const reader = response.body!.getReader();
    t.equal(Buffer.from((await reader.read()).value ?? []).toString(), 'part');
    t.strictSame(await metrics(), [], 'nothing is known yet');
    controller.abort();
    await t.rejects(reader.read());
    await waitFor('the metric', async () => (await metrics()).length > 0);
    t.match(await metrics(), [{ dimensions: { success: false }, metadata: { error_code: 'aborted' } }]);
    t.equal((await metrics()).length, 1);
  });
}

for (const [framework, start] of Object.entries(SERVICES)) {
  t.test(`${framework}: an answer that the service itself breaks off is its own failure`, async (t) => {
    const { client, metrics } = captureMetrics();
    const service = await start('auth', client);
    t.teardown(() => service.close());
    await t.rejects(fetch(`${service.url}/breaks`).then((response) => response.text()));
    await waitFor('the metric', async () => (await metrics()).length > 0);
    t.match(await metrics(), [{ dimensions: { success: false }, metadata: { error_code: 'error' } }]);
    t.equal((await metrics()).length, 1);
  });
}

/** A service on plain Node with `authMetrics`. */
async function startPlain(t: Test, options: AuthMetricsOptions, answer: RequestListener): Promise<number> {
  const { authMetrics } = await import('../../../src/client/http/node.ts');
  const observe = authMetrics(options);
  const server = createServer((asked, answered) => {
    observe(asked, answered);
    answer(asked, answered);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.teardown(() => {
    server.closeAllConnections();
    server.close();
  });
  return (server.address() as AddressInfo).port;
}

t.test('a client that resets its connection, or hangs up in a body of its own, has left', async (t) => {
  for (const [head, leave] of [
    ['GET / HTTP/1.1', (socket: Socket) => socket.resetAndDestroy()],
    ['POST / HTTP/1.1\r\nContent-Length: 100', (socket: Socket) => socket.end()],
  ] as const) {
    const { client, metrics } = captureMetrics();
    const port = await startPlain(t, { client }, (asked, answer) => {
      asked.on('error', () => {}).resume();
      answer.write('part');
    });
    const socket = connect(port, '127.0.0.1');
    socket.on('error', () => {});
    socket.write(`${head}\r\nHost: h\r\n\r\n`);
    await once(socket, 'data');
    leave(socket);
    await waitFor('the metric', async () => (await metrics()).length > 0);
    t.match(await metrics(), [{ dimensions: { success: false }, metadata: { error_code: 'aborted' } }]);
  }
});

t.test('an answer broken off with an error is no client that left, whatever the error', async (t) => {
  const { client, metrics } = captureMetrics();
  const port = await startPlain(t, { client }, (_, answer) => {
    // As `pipeline` does when what a proxy reads from resets its connection.
    answer.write('part', () => answer.destroy(Object.assign(new Error('read'), { code: 'ECONNRESET' })));
  });
  await t.rejects(fetch(`http://127.0.0.1:${port}`).then((response) => response.text()));
  await waitFor('the metric', async () => (await metrics()).length > 0);
  t.match(await metrics(), [{ metadata: { error_code: 'error' } }]);
});

t.test('an answer broken off while much of it waits is no client that left', async (t) => {
  const { client, metrics } = captureMetrics();
  const port = await startPlain(t, { client }, (_, answer) => {
    // More than the connection takes at once, since nobody reads.
    answer.write(Buffer.alloc(50_000_000));
    setImmediate(() => answer.destroy());
  });
  const asking = request({ port }).on('error', () => {});
  asking.end();
  await waitFor('the metric', async () => (await metrics()).length > 0);
  t.match(await metrics(), [{ metadata: { error_code: 'error' } }]);
  asking.destroy();
});

t.test('an event stream is one in whatever case its type is written', async (t) => {
  const { client, metrics } = captureMetrics();
  const port = await startPlain(t, { client }, ({ url }, answer) => {
    if (url === '/set') answer.setHeader('Content-Type', 'Text/Event-Stream; charset=utf-8');
    const head =
      url === '/list'
        ? ['content-Type', 'TEXT/EVENT-STREAM']
        : url === '/set'
          ? []
          : { 'CONTENT-TYPE': 'text/Event-stream' };
    answer.writeHead(200, head).write('data: first\n\n');
  });
  for (const [index, path] of ['/set', '/list', '/object'].entries()) {
    await fetch(`http://127.0.0.1:${port}${path}`);
    t.equal((await metrics()).length, index + 1, path);
  }
});

t.test('callers make up no authentication methods', async (t) => {
  const { client, metrics } = captureMetrics();
  const own = new Map([
    ['/own', 'in-house.v2'],
    ['/sentence', 'signed in with a key'],
    ['/long', 'x'.repeat(33)],
  ]);
  const port = await startPlain(t, { client }, ({ url }, answer) => {
    const method = own.get(url!);
    if (method !== undefined) answer.setHeader('X-Auth-Method', method);
    answer.end();
  });
  const found = async (path: string, headers: Readonly<Record<string, string>> = {}): Promise<unknown> => {
    const before = (await metrics()).length;
    await fetch(`http://127.0.0.1:${port}${path}`, { headers });
    await waitFor('the metric', async () => (await metrics()).length > before);
    return (await metrics()).at(-1)!.dimensions['method'];
  };
  t.equal(await found('/', { 'x-auth-method': 'OAuth2' }), 'oauth2');
  t.equal(await found('/', { 'x-auth-method': 'made-up-1' }), 'other');
  t.equal(await found('/', { 'x-auth-method': 'made-up-1', authorization: 'Bearer x' }), 'other');
  t.equal(await found('/', { authorization: 'Bearer x' }), 'bearer');
  t.equal(await found('/', { authorization: 'a-secret-without-scheme' }), 'unknown');
  t.equal(await found('/own', { 'x-auth-method': 'jwt' }), 'in-house.v2');
  t.equal(await found('/sentence'), 'other');
  t.equal(await found('/long'), 'other');
});

t.test('a service that repeats what callers say has a bounded number of methods all the same', async (t) => {
  const { authMetrics } = await import('../../../src/client/http/hono.ts');
  const { Hono } = await import('hono');
  const { client, metrics } = captureMetrics();
  const app = new Hono();
  app.use(authMetrics({ client, method: ({ requestHeader }) => requestHeader('x-said') }));
  app.get('/', (context) => context.text('fine'));
  for (let n = 0; n < 300; n += 1) await app.request('/', { headers: { 'x-said': `said-${n}` } });
  const methods = new Set((await metrics()).map(({ dimensions }) => dimensions['method']));
  t.equal(methods.size, 201);
  t.ok(methods.has('unknown'));
});

t.test('functions of the service say where things are found, and may fail without harm', async (t) => {
  const { authMetrics } = await import('../../../src/client/http/hono.ts');
  const { Hono } = await import('hono');
  const { client, metrics } = captureMetrics();
  const app = new Hono();
  app.use(
    authMetrics({
      client,
      method: () => 'session',
      server: ({ requestHeader }) => requestHeader('x-server'),
      user: ({ raw }) => raw.req.header('x-me'),
      success: ({ status }) => status === 418,
      when: ({ url }) => url !== '/health?full=1',
    }),
  );
  app.all('*', (context) => context.text('teapot', 418));
  await app.request('/x', { headers: { 'x-server': 'tea', 'x-me': 'bob' } });
  await app.request('/health?full=1');
  t.match(await metrics(), [
    { dimensions: { method: 'session', server: 'tea', success: true, user_hash: client.hashUser('bob') } },
  ]);
  t.equal((await metrics()).length, 1);

  const faulty = new Hono();
  faulty.use(
    authMetrics({
      client,
      server: () => {
        throw new Error('boom');
      },
    }),
  );
  faulty.get('/', (context) => context.text('fine'));
  t.equal(await (await faulty.request('/')).text(), 'fine');
});

t.test("under Hono an event stream written to Node's own response is recorded as it begins", async (t) => {
  const { authMetrics } = await import('../../../src/client/http/hono.ts');
  const { Hono } = await import('hono');
  const { getRequestListener } = await import('@hono/node-server');
  const { RESPONSE_ALREADY_SENT } = await import('@hono/node-server/utils/response');
  const { client, metrics } = captureMetrics();
  const app = new Hono<{ Bindings: HttpBindings }>();
  app.use(authMetrics({ client }));
  app.get('/', ({ env: { outgoing } }) => {
    outgoing.writeHead(200, { 'Content-Type': 'text/event-stream' }).write('data: first\n\n');
    return RESPONSE_ALREADY_SENT;
  });
  const listener = getRequestListener(app.fetch);
  const server = createServer((asked, answer) => void listener(asked, answer));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.teardown(() => {
    server.closeAllConnections();
    server.close();
  });
  await fetch(`http://127.0.0.1:${(server.address() as AddressInfo).port}`);
  await waitFor('the metric', async () => (await metrics()).length === 1);
  t.match(await metrics(), [{ dimensions: { success: true } }]);
});

t.test('a user that a handler names is sent as a hash, and in no other form', async (t) => {
  const { annotateMetrics, authMetrics } = await import('../../../src/client/http/node.ts');
  const { client, metrics } = captureMetrics();
  const middleware = authMetrics({ client });
  const server = createServer((asked, answer) => {
    middleware(asked, answer);
    annotateMetrics(asked, { user: 'alice@example.org' });
    answer.end();
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.teardown(() => server.close());
  await fetch(`http://127.0.0.1:${(server.address() as AddressInfo).port}`, { headers: { 'x-username': 'bob' } });
  await waitFor('the metric', async () => (await metrics()).length === 1);
  const [metric] = await metrics();
  t.equal(metric!.dimensions['user_hash'], client.hashUser('alice@example.org'));
  t.notMatch(JSON.stringify(metric), /alice|bob/);
});

t.test('headers are found by their names in any case', async (t) => {
  const { authMetrics } = await import('../../../src/client/http/node.ts');
  const { client, metrics } = captureMetrics();
  const observe = authMetrics({
    client,
    method: ({ requestHeader }) => requestHeader('X-Proof'),
    server: ({ responseHeader }) => responseHeader('X-Server'),
    user: ({ responseHeader }) => responseHeader('X-Me'),
  });
  const server = createServer((asked, answer) => {
    observe(asked, answer);
    answer.setHeader('X-Me', 'bob');
    answer.writeHead(200, { 'x-server': 'tea' }).end();
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.teardown(() => server.close());
  await fetch(`http://127.0.0.1:${(server.address() as AddressInfo).port}`, { headers: { 'x-proof': 'mtls' } });
  await waitFor('the metric', async () => (await metrics()).length === 1);
  t.match(await metrics(), [{ dimensions: { method: 'mtls', server: 'tea', user_hash: client.hashUser('bob') } }]);
});

t.test('a function of the service that fails costs its own value alone, and is told once', async (t) => {
  const { authMetrics } = await import('../../../src/client/http/hono.ts');
  const { Hono } = await import('hono');
  const warnings: string[] = [];
  const { client, metrics } = captureMetrics({ onWarning: (text) => warnings.push(text) });
  const boom = (): never => {
    throw new Error('boom');
  };
  const app = new Hono();
  const server = (() => 5) as unknown as () => string;
  app.use(authMetrics({ client, when: boom, success: boom, user: boom, server, method: () => 'session' }));
  app.get('/', (context) => context.text('fine'));
  for (let i = 0; i < 2; i += 1) t.equal(await (await app.request('/')).text(), 'fine');
  t.strictSame(
    (await metrics()).map(({ dimensions }) => dimensions),
    Array.from({ length: 2 }, () => ({ success: true, method: 'session', server: 'unknown', user_hash: '' })),
  );
  t.equal(warnings.length, 4);
  for (const option of ['server', 'success', 'user', 'when']) t.match(warnings.join(), `\`${option}\``);
});

t.test('under Hono an error without handler is thrown on as it was', async (t) => {
  const { authMetrics } = await import('../../../src/client/http/hono.ts');
  const { client, metrics } = captureMetrics();
  const error = new Error('mine');
  const context = {
    req: { method: 'GET', url: 'http://h/', raw: new Request('http://h/'), header: () => undefined },
    res: new Response(),
    finalized: false,
    env: undefined,
  };
  await t.rejects(
    authMetrics({ client })(context, () => Promise.reject(error)),
    error,
  );
  t.match(await metrics(), [{ dimensions: { success: false }, metadata: { error_code: 'error' } }]);
});
