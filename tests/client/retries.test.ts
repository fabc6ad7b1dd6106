import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import t from 'tap';
import { createMetricsClient, type MetricsClientOptions } from '../../src/client/index.ts';
import { backoffMs, retryAfterMs } from '../../src/client/retry.ts';
import { waitFor } from '../support/wait-for.ts';
import { startStandIn, type StandInGateway } from './stand-in-gateway.ts';

let gateway: StandInGateway;
let warnings: string[];
t.beforeEach(async () => {
  gateway = await startStandIn();
  warnings = [];
});
t.afterEach(() => gateway.close());

const connect = (options: MetricsClientOptions = {}): ReturnType<typeof createMetricsClient> =>
  createMetricsClient({
    url: gateway.url,
    apiKey: 'k',
    service: 's',
    flushIntervalMs: 10,
    onWarning: (text) => warnings.push(text),
    ...options,
  });
const numbers = (): unknown[] => gateway.accepted.map((metric) => metric.dimensions['n']);
const count = (client: ReturnType<typeof createMetricsClient>, from: number, to: number): void => {
  for (let n = from; n < to; n += 1) client.custom('x', { dimensions: { n } });
};

for (const [what, answer] of Object.entries({
  'the first request still being in flight (409)': { status: 409 },
  'a rate limit (429)': { status: 429 },
  'overload (503)': { status: 503 },
  'an internal error (500)': { status: 500 },
  'a proxy without a gateway (502)': { status: 502 },
  'a success that is not 200': { status: 204 },
  'an unknown path during a deployment (404)': { status: 404 },
  'a lost connection': { status: 0, cut: true },
  'an answer lost on its way': { status: 200, takeIn: true, cut: true },
})) {
  t.test(`${what} is tried again with the same key and the same bytes, and counts once`, async (t) => {
    gateway.answer = (_, index) => (index < 2 ? answer : undefined);
    const client = connect();
    count(client, 0, 30);
    await waitFor('the retries', () => client.stats().accepted === 30);
    const [first, ...others] = gateway.requests;
    t.equal(others.length, 2);
    for (const other of others) {
      t.equal(other.headers['idempotency-key'], first!.headers['idempotency-key']);
      t.ok(other.raw.equals(first!.raw));
    }
    t.equal(new Set(numbers()).size, gateway.accepted.length);
    t.match(client.stats(), { recorded: 30, accepted: 30, retries: 2, dropped: { refused: 0 } });
    await client.shutdown();
  });
}

t.test('an answer that does not come in time is tried again', async (t) => {
  gateway.answer = (_, index) => (index === 0 ? { status: 200, afterMs: 500 } : undefined);
  const client = connect({ requestTimeoutMs: 50 });
  count(client, 0, 3);
  await waitFor('the second try', () => client.stats().accepted === 3);
  t.equal(gateway.accepted.length, 3, 'the first try had arrived: the gateway counts it once');
  await client.shutdown();
});

t.test('different batches have different keys', async (t) => {
  const client = connect({ maxBatchSize: 5 });
  count(client, 0, 20);
  await client.shutdown();
  t.equal(new Set(gateway.requests.map((request) => request.headers['idempotency-key'])).size, 4);
});

t.test('Retry-After is honoured, by flush as well', async (t) => {
  gateway.answer = (_, index) => (index === 0 ? { status: 429, headers: { 'retry-after': '1' } } : undefined);
  const client = connect();
  count(client, 0, 3);
  await waitFor('the first try', () => client.stats().retries === 1);
  count(client, 3, 6);
  await client.flush({ timeoutMs: 100 });
  t.equal(gateway.requests.length, 1, 'nobody knocks before the time');
  await client.flush({ timeoutMs: 5000 });
  t.ok(gateway.requests[1]!.at - gateway.requests[0]!.at >= 990);
  t.strictSame(numbers(), [0, 1, 2, 3, 4, 5]);
  await client.shutdown();
});

t.test('flushes that come often do not send more often than each second while the gateway fails', async (t) => {
  gateway.answer = () => ({ status: 503 });
  const client = connect();
  const began = performance.now();
  for (let n = 0; performance.now() - began < 2500; n += 1) {
    count(client, n, n + 1);
    await client.flush({ timeoutMs: 20 });
  }
  const at = gateway.requests.map((request) => request.at);
  // Half of 250 and 500 ms at least, then a second.
  t.ok(at.length >= 3 && at.length <= 6, `${at.length} requests`);
  await client.shutdown({ timeoutMs: 100 });
  t.equal(gateway.requests.length, at.length + 1, 'the last chance is taken at once');
});

t.test('a last flush does not shorten what the gateway asked for', async (t) => {
  gateway.answer = (_, index) => (index === 0 ? { status: 429, headers: { 'retry-after': '4' } } : undefined);
  const client = connect();
  count(client, 0, 1);
  await waitFor('the first try', () => client.stats().retries === 1);
  await client.flush({ timeoutMs: 50, final: true });
  count(client, 1, 2);
  await waitFor('the second try', () => client.stats().accepted === 2);
  t.ok(gateway.requests[1]!.at - gateway.requests[0]!.at >= 3990);
  await client.shutdown();
});

t.test('Retry-After is read as seconds or as a date, and nonsense is ignored', async (t) => {
  const now = Date.UTC(2026, 0, 1);
  t.equal(retryAfterMs('7', now), 7000);
  t.equal(retryAfterMs('Thu, 01 Jan 2026 00:00:09 GMT', now), 9000);
  t.equal(retryAfterMs('99999999', now), 3_600_000);
  for (const nonsense of ['soon', '', null, undefined, '-', '-1', '1.5']) t.equal(retryAfterMs(nonsense, now), 0);
  for (const over of ['0', 'Thu, 01 Jan 2020 00:00:00 GMT']) t.equal(retryAfterMs(over, now), 0);
});

for (const header of ['0', '-1', '1.5', 'Thu, 01 Jan 2020 00:00:00 GMT']) {
  t.test(`Retry-After: ${header} asks for no wait, and the backoff stays`, async (t) => {
    gateway.answer = (_, index) => (index < 3 ? { status: 503, headers: { 'retry-after': header } } : undefined);
    const client = connect();
    count(client, 0, 3);
    await waitFor('the fourth try', () => client.stats().accepted === 3);
    const at = gateway.requests.map((request) => request.at);
    t.ok(at[3]! - at[0]! >= 125 + 250 + 500 - 10, 'half of 250, 500 and 1,000 ms at least');
    await client.shutdown();
  });
}

t.test('delays double up to half a minute, and no two clients choose the same', async (t) => {
  for (const [attempt, ceiling] of [
    [0, 250],
    [1, 500],
    [4, 4000],
    [7, 30_000],
    [1000, 30_000],
  ] as const) {
    const delays = Array.from({ length: 100 }, () => backoffMs(attempt));
    t.ok(delays.every((delay) => delay >= ceiling / 2 && delay <= ceiling));
    t.ok(new Set(delays).size > 90);
  }
});

for (const status of [401, 403]) {
  t.test(`${status} waits for a person: metrics are kept, told once, and tried again each minute`, async (t) => {
    const timers = t.capture(globalThis, 'setTimeout', setTimeout);
    gateway.answer = (_, index) => (index < 2 ? { status, body: { detail: 'unknown key', status } } : undefined);
    const client = connect({ apiKey: 'hush-hush' });
    count(client, 0, 30);
    await waitFor('the first try', () => client.stats().retries === 1);
    const delays = timers().map(({ args }) => Number(args[1]));
    t.equal(delays.filter((delay) => delay > 59_000 && delay <= 60_000).length, 1, 'a minute, whatever came before');
    count(client, 30, 35);
    await client.flush();
    t.match(client.stats(), { retries: 2, inFlight: 30, queued: 5 }, 'a flush tries at once, and once');
    await client.shutdown();
    t.match(client.stats(), { recorded: 35, accepted: 35, dropped: { refused: 0, shutdown: 0 } });
    t.strictSame(numbers(), [...Array.from({ length: 35 }).keys()], 'with a key that is good everything arrives');
    const [first, second, third] = gateway.requests;
    for (const again of [second!, third!]) {
      t.equal(again.headers['idempotency-key'], first!.headers['idempotency-key']);
      t.ok(again.raw.equals(first!.raw));
    }
    t.equal(warnings.length, 1);
    t.match(warnings[0], new RegExp(`kept.*${status}.*unknown key`));
    t.notMatch(warnings[0], /hush/);
  });
}

t.test('a key that stays bad costs memory up to the limit and no more, and every loss is counted', async (t) => {
  gateway.answer = () => ({ status: 401 });
  const client = connect({ maxQueueSize: 10, maxBatchSize: 5 });
  count(client, 0, 5);
  await waitFor('the first try', () => client.stats().retries === 1);
  count(client, 5, 30);
  t.match(client.stats(), { recorded: 30, inFlight: 5, queued: 10, dropped: { overflow: 15 } });
  await client.shutdown();
  t.equal(gateway.requests.length, 2);
  t.match(client.stats(), { dropped: { overflow: 15, refused: 0, shutdown: 15 }, inFlight: 0, queued: 0 });
});

for (const status of [400, 415, 422]) {
  t.test(`${status} says that the request is wrong: its metrics are dropped, counted, and told once`, async (t) => {
    gateway.answer = (_, index) =>
      index < 2 ? { status, body: { detail: 'unknown key', status, errors: ['metrics[0]: x'] } } : undefined;
    const client = connect();
    for (let batch = 0; batch < 3; batch += 1) {
      count(client, batch * 2, batch * 2 + 2);
      await client.flush();
    }
    t.strictSame(numbers(), [4, 5], 'what comes later is not held up');
    t.match(client.stats(), { recorded: 6, accepted: 2, retries: 0, dropped: { refused: 4 } });
    t.equal(warnings.length, 1);
    t.match(warnings[0], new RegExp(`${status}.*unknown key`));
    await client.shutdown();
  });
}

t.test('a batch that is too large is halved until it fits; a metric that alone is too large is dropped', async (t) => {
  gateway.answer = ({ body }) =>
    body.metrics.length > 4 || body.metrics.some((metric) => metric.dimensions['n'] === 13)
      ? { status: 413 }
      : undefined;
  const client = connect();
  count(client, 0, 20);
  await client.flush();
  const expected = [...Array.from({ length: 20 }).keys()].filter((n) => n !== 13);
  t.strictSame(numbers(), expected);
  t.match(client.stats(), { recorded: 20, accepted: 19, dropped: { refused: 1 }, inFlight: 0, queued: 0 });
  const keys = gateway.requests.map((request) => request.headers['idempotency-key']);
  t.equal(new Set(keys).size, keys.length, 'other bytes, another key');
  await client.shutdown();
});

t.test('single metrics that the gateway rejects are counted and told once, and nothing is sent again', async (t) => {
  gateway.answer = () => ({
    status: 200,
    body: { status: 'partial', accepted: 2, rejected: 1, errors: ['metrics[1].timestamp: too old'] },
  });
  const client = connect();
  count(client, 0, 3);
  await client.flush();
  count(client, 3, 6);
  await client.flush();
  t.equal(gateway.requests.length, 2);
  t.match(client.stats(), { recorded: 6, accepted: 4, rejected: 2 });
  t.equal(warnings.length, 1);
  t.match(warnings[0], /too old/);
  await client.shutdown();
});

for (const [rejected, counted] of [
  [-5, 0],
  [1.5, 1],
  ['many', 0],
  [99, 3],
] as const) {
  t.test(`the books stay whole where an answer says that ${rejected} were rejected`, async (t) => {
    gateway.answer = () => ({ status: 200, body: { rejected } });
    const client = connect();
    count(client, 0, 3);
    await client.flush();
    t.match(client.stats(), { recorded: 3, accepted: 3 - counted, rejected: counted });
    await client.shutdown();
  });
}

t.test(
  'an answer that no gateway gives is no answer: it is tried again in time, and shutdown is the end',
  async (t) => {
    const body = { rejected: { toString: 1, valueOf: 1 } };
    gateway.answer = () => ({ status: 200, body });
    const client = connect();
    count(client, 0, 3);
    await client.flush({ timeoutMs: 300 });
    await client.shutdown({ timeoutMs: 300 });
    const requests = gateway.requests.length;
    t.ok(requests >= 2 && requests <= 5, `${requests} requests`);
    t.match(client.stats(), { requests, retries: requests, dropped: { shutdown: 3 }, inFlight: 0 });
    // A request of the client's would go out before this one.
    await fetch(gateway.url, { method: 'POST', body: '{"metrics":[]}' });
    t.equal(gateway.requests.length, requests + 1);
  },
);

t.test('a page where the gateway should be takes nothing in, whatever its status, and that is told', async (t) => {
  const page = createServer((request, response) => {
    request.resume().on('end', () => response.writeHead(200, { 'content-type': 'text/html' }).end('<html>'));
  });
  await new Promise<void>((resolve) => page.listen(0, '127.0.0.1', resolve));
  t.teardown(() => page.close().closeAllConnections());
  const { port } = page.address() as AddressInfo;
  const client = connect({ url: `http://127.0.0.1:${port}` });
  count(client, 0, 3);
  await client.flush({ timeoutMs: 3000 });
  t.match(client.stats(), { accepted: 0, inFlight: 3 });
  t.match(warnings, [/kept and sent later.*answers 200 no JSON/]);
  await client.shutdown({ timeoutMs: 1 });
});

t.test('a 200 counts whatever its body says', async (t) => {
  gateway.answer = () => ({ status: 200, body: 'no object' });
  const client = connect();
  count(client, 0, 3);
  await client.flush();
  t.match(client.stats(), { accepted: 3, rejected: 0, inFlight: 0 });
  await client.shutdown();
});

t.test('a redirect is not followed: the key stays with the gateway', async (t) => {
  const elsewhere = await startStandIn();
  t.teardown(() => elsewhere.close());
  gateway.answer = () => ({ status: 307, headers: { location: `${elsewhere.url}/metrics` } });
  const client = connect();
  count(client, 0, 3);
  await client.flush({ timeoutMs: 300 });
  t.equal(elsewhere.requests.length, 0);
  t.equal(client.stats().inFlight, 3, 'kept');
  await client.shutdown({ timeoutMs: 1 });
});

t.test('an outage is told once, and without the key', async (t) => {
  await gateway.close();
  const client = connect({ apiKey: 'hush-hush' });
  count(client, 0, 3);
  await client.flush({ timeoutMs: 3000 });
  await gateway.reopen();
  t.equal(warnings.length, 1);
  t.match(warnings[0], /kept and sent later/);
  t.notMatch(warnings[0], /hush/);
  await client.flush({ timeoutMs: 10_000 });
  t.strictSame(numbers(), [0, 1, 2]);
  await client.shutdown();
});
