import t, { type Test } from 'tap';
import { Refusal } from '../../src/core/refusal.ts';
import { collected } from '../support/collected.ts';
import { goodBody, SECRET, testGateway, type TestGatewayOptions, valueOf } from './gateway.ts';
import { rawConnection, rawRequest } from './raw-connection.ts';

const KEY = { 'X-API-Key': SECRET };
const mib = 1024 * 1024;

async function start(t: Test, options?: TestGatewayOptions) {
  const gateway = await testGateway(options);
  const listener = await gateway.serve();
  t.teardown(gateway.close);
  return { gateway, listener, connect: () => rawConnection(listener.port) };
}

/** An append that the test lets go. */
function heldAppend() {
  let waiting = 0;
  const { promise, resolve } = Promise.withResolvers<undefined>();
  return {
    context: {
      append: async (entry: { metrics: number; envelope: Uint8Array; payload: Uint8Array }) => {
        waiting += 1;
        await promise;
        return { ...entry, sequence: 1, count: entry.metrics };
      },
    },
    release: () => resolve(undefined),
    waiting: () => waiting,
  };
}

const until = async (condition: () => boolean): Promise<void> => {
  for (const started = Date.now(); !condition(); await new Promise((resolve) => setTimeout(resolve, 2))) {
    if (Date.now() - started > 10_000) throw new Error(`not within 10 s: ${condition.toString()}`);
  }
};

t.test('a connection is kept over answers of every kind', async (t) => {
  const { connect } = await start(t);
  const connection = await connect();
  for (const [headers, body, status] of [
    [KEY, goodBody(), 200],
    [{}, goodBody(100), 401],
    [KEY, 'no', 400],
    [{ ...KEY, 'Content-Type': 'text/plain' }, goodBody(500), 415],
    [KEY, goodBody(), 200],
  ] as const) {
    connection.write(rawRequest(body, headers));
    const answer = await connection.answer();
    t.equal(answer.status, status);
    t.equal(answer.headers.get('connection'), 'keep-alive');
  }
  connection.destroy();
});

t.test('a connection that waits for its next request keeps nothing of the last', async (t) => {
  const bodies: WeakRef<object>[] = [];
  const append: NonNullable<TestGatewayOptions['context']>['append'] = (entry) => {
    bodies.push(new WeakRef(entry.payload.buffer));
    return Promise.resolve({ ...entry, sequence: bodies.length, count: bodies.length });
  };
  const { connect } = await start(t, { context: { append } });
  const connections = await Promise.all([connect(), connect(), connect()]);
  for (const connection of connections) {
    connection.write(rawRequest(goodBody(500), KEY));
    t.equal((await connection.answer()).status, 200);
  }
  t.equal(bodies.length, 3);
  await collected(bodies);
  t.pass('the bodies are gone');
  for (const connection of connections) connection.destroy();
});

t.test('pipelined requests get their answers in order', async (t) => {
  const { connect } = await start(t);
  const connection = await connect();
  connection.write(
    Buffer.concat([rawRequest(goodBody(2), KEY), rawRequest(goodBody(1), {}), rawRequest(goodBody(3), KEY)]),
  );
  t.equal((await connection.answer()).json['accepted'], 2);
  t.equal((await connection.answer()).status, 401);
  t.equal((await connection.answer()).json['accepted'], 3);
  connection.destroy();
});

t.test('Connection: close is honoured, for receipts and refusals', async (t) => {
  const { connect } = await start(t);
  for (const [headers, status] of [
    [KEY, 200],
    [{}, 401],
  ] as const) {
    const connection = await connect();
    connection.write(rawRequest(goodBody(), { ...headers, Connection: 'close' }));
    const answer = await connection.answer();
    t.equal(answer.status, status);
    t.equal(answer.headers.get('connection'), 'close');
    await connection.closed();
  }
});

t.test('a refused client that is still sending gets its answer, and is told that the connection ends', async (t) => {
  const { connect } = await start(t);
  const connection = await connect();
  connection.write(rawRequest('', { 'Content-Length': String(8 * mib) }));
  const answer = await connection.answer();
  t.equal(answer.status, 401, 'before the body came');
  t.equal(answer.headers.get('connection'), 'close');
  for (let sent = 0; sent < 8; sent += 1) connection.write(Buffer.alloc(mib));
  await connection.closed();
  t.equal(connection.pending(), '');
});

t.test('a refused client that sends without end is cut off', async (t) => {
  const { connect } = await start(t);
  const connection = await connect();
  connection.write(rawRequest('', { 'Content-Length': undefined, 'Transfer-Encoding': 'chunked' }));
  t.equal((await connection.answer()).status, 401);
  const chunk = Buffer.concat([Buffer.from('100000\r\n'), Buffer.alloc(mib), Buffer.from('\r\n')]);
  let sent = 0;
  while (connection.isOpen() && sent < 2000) {
    connection.write(chunk);
    sent += 1;
    await new Promise((resolve) => setImmediate(resolve));
  }
  t.notOk(connection.isOpen(), `after ${sent} MiB`);
  connection.destroy();
});

t.test('half a body, then silence: 408 after the timeout', async (t) => {
  const { gateway, connect } = await start(t, { bodyTimeoutMs: 60 });
  const connection = await connect();
  connection.write(rawRequest(goodBody().slice(0, 40), { ...KEY, 'Content-Length': '500' }));
  const answer = await connection.answer();
  t.equal(answer.status, 408);
  t.match(answer.json['detail'], /^The body stopped after 40 bytes: nothing came for 0\.06 seconds/);
  t.equal(valueOf(gateway, 'mcp_gateway_requests_total', { code: 'timeout' }), 1);
  connection.destroy();
});

t.test('a body that drips is not silent, but the whole request has a limit too', async (t) => {
  const { connect } = await start(t, {
    bodyTimeoutMs: 5000,
    listen: { requestTimeoutMs: 300, headersTimeoutMs: 300 },
  });
  const connection = await connect();
  const body = goodBody();
  connection.write(rawRequest('', { ...KEY, 'Content-Length': String(body.length) }));
  let at = 0;
  const dripping = setInterval(() => connection.write(body.slice(at, (at += 1))), 50);
  const answer = await connection.answer();
  clearInterval(dripping);
  t.equal(answer.status, 408);
  t.equal(answer.json['code'], 'timeout');
  await connection.closed();
});

t.test('headers that never end are answered with 408', async (t) => {
  const { connect } = await start(t, { listen: { headersTimeoutMs: 200, requestTimeoutMs: 5000 } });
  const connection = await connect();
  connection.write('POST /metrics HTTP/1.1\r\nHost: a\r\nX-Slow: ');
  const answer = await connection.answer();
  t.equal(answer.status, 408);
  t.equal(answer.json['detail'], 'The request was not complete in time.');
  await connection.closed();
});

t.test('a length that promises more than comes: 400, not a hang', async (t) => {
  const { gateway, connect } = await start(t);
  const connection = await connect();
  connection.write(rawRequest(goodBody(), { ...KEY, 'Content-Length': '5000' }));
  connection.end();
  const answer = await connection.answer();
  t.equal(answer.status, 400);
  t.equal(answer.json['code'], 'malformed');
  await until(() => valueOf(gateway, 'mcp_gateway_requests_total', { code: 'malformed' }) === 1);
});

t.test('a length that promises less than comes: the rest is no request', async (t) => {
  const { connect } = await start(t);
  const connection = await connect();
  const body = goodBody();
  connection.write(rawRequest(`${body}\u0000garbage`, { ...KEY, 'Content-Length': String(body.length) }));
  t.equal((await connection.answer()).status, 200);
  t.equal((await connection.answer()).status, 400);
  await connection.closed();
});

t.test('a client that goes away in the middle leaves nothing behind', async (t) => {
  const { gateway, connect } = await start(t, { maxInFlightRequests: 1 });
  const connection = await connect();
  connection.write(rawRequest(goodBody(), { ...KEY, 'Content-Length': '5000' }));
  await until(() => gateway.keys.uses(gateway.keyId) === 1);
  connection.destroy();
  await until(() => valueOf(gateway, 'mcp_gateway_requests_total', { code: 'malformed' }) === 1);
  const next = await connect();
  next.write(rawRequest(goodBody(), KEY));
  t.equal((await next.answer()).status, 200, 'its place is free again');
  next.destroy();
});

t.test('Expect: 100-continue is answered only once the key was found', async (t) => {
  const { connect } = await start(t);
  const expecting = { Expect: '100-continue', 'Content-Length': String(goodBody().length) };
  const good = await connect();
  good.write(rawRequest('', { ...KEY, ...expecting }));
  t.equal((await good.answer()).status, 100);
  good.write(goodBody());
  t.equal((await good.answer()).status, 200);
  good.destroy();

  const bad = await connect();
  bad.write(rawRequest('', expecting));
  const answer = await bad.answer();
  t.equal(answer.status, 401, 'no interim answer before it');
  t.equal(answer.headers.get('connection'), 'close', 'whether the body still comes cannot be known');
  bad.destroy();

  const tooLarge = await connect();
  tooLarge.write(rawRequest('', { ...KEY, ...expecting, 'Content-Length': String(11 * mib) }));
  t.equal((await tooLarge.answer()).status, 413);
  tooLarge.destroy();
});

t.test('requests in flight are bounded: one more is refused with 503, and it heals by itself', async (t) => {
  const held = heldAppend();
  const { gateway, connect } = await start(t, { maxInFlightRequests: 2, context: held.context });
  const first = [await connect(), await connect()];
  for (const connection of first) connection.write(rawRequest(goodBody(), KEY));
  await until(() => held.waiting() === 2);
  t.equal(gateway.app.inFlight.requests(), 2);
  const third = await connect();
  third.write(rawRequest(goodBody(), KEY));
  const refused = await third.answer();
  t.equal(refused.status, 503);
  t.equal(refused.headers.get('retry-after'), '1');
  t.equal(refused.json['code'], 'overloaded');
  t.equal(valueOf(gateway, 'mcp_gateway_requests_total', { code: 'overloaded' }), 1);
  held.release();
  for (const connection of first) t.equal((await connection.answer()).status, 200);
  third.write(rawRequest(goodBody(), KEY));
  t.equal((await third.answer()).status, 200, 'on the same connection');
  t.equal(gateway.app.inFlight.requests(), 0);
  t.equal(gateway.app.inFlight.bytes(), 0);
  for (const connection of [...first, third]) connection.destroy();
});

t.test('bytes in flight are bounded, compressed ones by what they become', async (t) => {
  const held = heldAppend();
  const { connect } = await start(t, { maxInFlightBytes: 3000, context: held.context });
  const first = await connect();
  first.write(rawRequest(goodBody(10), KEY));
  await until(() => held.waiting() === 1);
  const second = await connect();
  second.write(rawRequest(goodBody(20), KEY));
  t.equal((await second.answer()).status, 503);
  held.release();
  t.equal((await first.answer()).status, 200);
  first.destroy();
  second.destroy();
});

t.test('closing: readiness is not asked, requests under way get their answer, idle connections end', async (t) => {
  const held = heldAppend();
  const { listener, connect } = await start(t, { context: held.context });
  const idle = await connect();
  idle.write('GET /livez HTTP/1.1\r\nHost: a\r\n\r\n');
  t.equal((await idle.answer()).status, 200);
  const busy = await connect();
  busy.write(rawRequest(goodBody(), KEY));
  await until(() => held.waiting() === 1);
  const closing = listener.close(5000);
  await idle.closed();
  t.ok(busy.isOpen());
  held.release();
  const answer = await busy.answer();
  t.equal(answer.status, 200);
  await busy.closed();
  await closing;
  await t.rejects(fetch(`http://127.0.0.1:${listener.port}/livez`));
});

t.test('closing cuts what does not end within its grace', async (t) => {
  const { listener, connect } = await start(t);
  const slow = await connect();
  slow.write(rawRequest('{', { ...KEY, 'Content-Length': '500' }));
  await new Promise((resolve) => setImmediate(resolve));
  const started = Date.now();
  await listener.close(100);
  t.ok(Date.now() - started < 3000);
  await slow.closed();
});

t.test('a failure inside is a problem without its cause, which the log has', async (t) => {
  const { gateway, connect } = await start(t, {
    context: { append: () => Promise.reject(new Error('the inside of the gateway')) },
  });
  const connection = await connect();
  connection.write(rawRequest(goodBody(), KEY));
  const answer = await connection.answer();
  t.equal(answer.status, 500);
  t.notMatch(answer.body, /inside of the gateway/);
  t.equal(gateway.logged.length, 1);
  t.match(gateway.logged[0]?.fields, { requestId: answer.json['request_id'] });
  connection.destroy();
});

t.test('an answer given again for an idempotency key says so', async (t) => {
  const { connect } = await start(t);
  const connection = await connect();
  const request = rawRequest(goodBody(2), { ...KEY, 'Idempotency-Key': 'batch-1' });
  connection.write(request);
  const first = await connection.answer();
  connection.write(request);
  const second = await connection.answer();
  t.equal(first.headers.get('idempotency-replayed'), undefined);
  t.equal(second.headers.get('idempotency-replayed'), 'true');
  t.equal(second.body, first.body, 'the first answer, to the letter');
  connection.write(rawRequest(goodBody(3), { ...KEY, 'Idempotency-Key': 'batch-1' }));
  t.equal((await connection.answer()).status, 422);
  connection.destroy();
});

t.test('the limit of a key is told with every answer, and Retry-After with 429', async (t) => {
  const { connect } = await start(t, { rateLimit: { perMinute: 2 } });
  const connection = await connect();
  for (const [status, remaining] of [
    [200, '1'],
    [200, '0'],
    [429, '0'],
  ] as const) {
    connection.write(rawRequest(goodBody(), KEY));
    const answer = await connection.answer();
    t.equal(answer.status, status);
    t.equal(answer.headers.get('x-ratelimit-limit'), '2');
    t.equal(answer.headers.get('x-ratelimit-remaining'), remaining);
    t.equal(answer.headers.get('ratelimit-policy'), '"key";q=2;w=60');
    t.match(answer.headers.get('ratelimit'), new RegExp(`^"key";r=${remaining};t=\\d+$`));
    t.equal(answer.headers.get('retry-after'), status === 429 ? '30' : undefined);
  }
  connection.destroy();
});

t.test('what an append refuses is told with its Retry-After', async (t) => {
  const refusal = new Refusal('overloaded', 'The journal is full.', { retryAfterSeconds: 7 });
  const { connect } = await start(t, { context: { append: () => Promise.reject(refusal) } });
  const connection = await connect();
  connection.write(rawRequest(goodBody(), KEY));
  const answer = await connection.answer();
  t.equal(answer.status, 503);
  t.equal(answer.headers.get('retry-after'), '7');
  connection.destroy();
});

t.test('security headers are on every answer', async (t) => {
  const { connect } = await start(t);
  const connection = await connect();
  const receipt = rawRequest(goodBody(), KEY);
  for (const request of [
    receipt,
    rawRequest(goodBody(), {}),
    'GET / HTTP/1.1\r\nHost: a\r\n\r\n',
    'GET /nowhere HTTP/1.1\r\nHost: a\r\n\r\n',
  ]) {
    connection.write(request);
    const { headers } = await connection.answer();
    t.equal(headers.get('x-content-type-options'), 'nosniff');
    t.equal(headers.get('cache-control'), 'no-store');
    // A receipt is the one answer that no browser ever shows.
    if (request !== receipt) t.match(headers.get('content-security-policy'), /default-src 'none'/);
    t.equal(headers.get('x-powered-by'), undefined);
  }
  connection.destroy();
});
