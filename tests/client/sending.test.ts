import t from 'tap';
import { createMetricsClient, type MetricsClientOptions } from '../../src/client/index.ts';
import { waitFor } from '../support/wait-for.ts';
import { startStandIn, type StandInGateway } from './stand-in-gateway.ts';

let gateway: StandInGateway;
t.beforeEach(async () => {
  gateway = await startStandIn();
});
t.afterEach(() => gateway.close());

const connect = (options: MetricsClientOptions = {}): ReturnType<typeof createMetricsClient> =>
  createMetricsClient({ url: gateway.url, apiKey: 'k', service: 's', onWarning: () => {}, ...options });

const numbers = (): unknown[] => gateway.accepted.map((metric) => metric.dimensions['n']);
const count = (client: ReturnType<typeof createMetricsClient>, from: number, to: number): void => {
  for (let n = from; n < to; n += 1) client.custom('x', { dimensions: { n } });
};
const upTo = (n: number): number[] => [...Array.from({ length: n }).keys()];

t.test('metrics wait for each other: one request after the interval', async (t) => {
  const client = connect({ flushIntervalMs: 50 });
  count(client, 0, 20);
  await waitFor('the batch', () => gateway.accepted.length === 20);
  t.equal(gateway.requests.length, 1);
  t.strictSame(numbers(), upTo(20));
  await client.shutdown();
});

t.test('a full batch is sent at once, in order, without waiting for the interval', async (t) => {
  const client = connect({ flushIntervalMs: 3_600_000, maxBatchSize: 10 });
  count(client, 0, 25);
  await waitFor('two full batches', () => client.stats().accepted === 20);
  t.strictSame(
    gateway.requests.map((request) => request.body.metrics.length),
    [10, 10],
  );
  t.match(client.stats(), { recorded: 25, accepted: 20, queued: 5, inFlight: 0 });
  await client.shutdown();
  t.strictSame(numbers(), upTo(25));
});

for (const [options, sizes] of [
  [{ maxBatchSize: 1 }, [1, 1, 1, 1, 1, 1]],
  [{ maxBatchSize: 2.5 }, [2, 2]],
  [{ maxQueueSize: 3 }, [3, 3]],
] as const) {
  t.test(`so does a small one: ${JSON.stringify(options)}, and nothing is dropped`, async (t) => {
    const client = connect({ flushIntervalMs: 3_600_000, ...options });
    const sent = sizes.reduce<number>((sum, size) => sum + size, 0);
    for (let n = 0; n < 6; n += 1) {
      count(client, n, n + 1);
      const due = sizes.reduce<number>((sum, size) => (sum + size <= n + 1 ? sum + size : sum), 0);
      if ((n + 1) % 3 === 0) await waitFor('what is due', () => client.stats().accepted >= Math.min(due, sent));
    }
    t.match(client.stats(), { recorded: 6, dropped: { overflow: 0 } });
    await client.shutdown();
    t.strictSame(numbers(), upTo(6));
  });
}

t.test('flush sends what was recorded before it and resolves once that is in the gateway', async (t) => {
  const client = connect({ flushIntervalMs: 3_600_000 });
  count(client, 0, 3);
  await client.flush();
  t.strictSame(numbers(), [0, 1, 2]);
  t.match(client.stats(), { accepted: 3, queued: 0, inFlight: 0 });
  await client.shutdown();
});

t.test('flush gives up at its deadline while the gateway hangs, and keeps the metrics', async (t) => {
  gateway.answer = (_, index) => (index === 0 ? { status: 200, afterMs: 1000 } : undefined);
  const client = connect();
  count(client, 0, 3);
  const began = performance.now();
  await client.flush({ timeoutMs: 100 });
  t.ok(performance.now() - began < 900);
  t.equal(client.stats().inFlight, 3);
  await client.flush();
  t.strictSame(numbers(), [0, 1, 2]);
  await client.shutdown();
});

t.test('bodies are compressed from a kilobyte on, and small ones are not', async (t) => {
  const client = connect();
  count(client, 0, 1);
  await client.flush();
  count(client, 1, 50);
  await client.flush();
  t.equal(gateway.requests[0]!.headers['content-encoding'], undefined);
  t.equal(gateway.requests[1]!.headers['content-encoding'], 'gzip');
  t.ok(gateway.requests[1]!.raw.length < 1000);
  t.strictSame(numbers(), upTo(50));
  await client.shutdown();
});

for (const [why, builtin] of [
  ['has no zlib', undefined],
  ['has one without gzip', {}],
  [
    'has one that fails',
    { gzip: (_: unknown, __: unknown, done: (error: Error) => void) => done(new Error('no memory')) },
  ],
] as const) {
  t.test(`from a host that ${why} bodies go as they are`, async (t) => {
    t.intercept(process, 'getBuiltinModule', { value: () => builtin });
    const client = connect();
    count(client, 0, 50);
    await client.flush();
    t.equal(gateway.requests[0]!.headers['content-encoding'], undefined);
    t.strictSame(numbers(), upTo(50));
    await client.shutdown();
  });
}

t.test('shutdown sends the rest; what is recorded afterwards is counted as dropped', async (t) => {
  const client = connect({ maxBatchSize: 7 });
  count(client, 0, 50);
  await Promise.all([client.shutdown(), client.shutdown()]);
  t.strictSame(numbers(), upTo(50));
  client.custom('late');
  t.match(client.stats(), { recorded: 51, accepted: 50, dropped: { shutdown: 1 }, queued: 0 });
});

t.test('what is recorded while shutdown waits does not end it early', async (t) => {
  gateway.answer = (_, index) => (index === 0 ? { status: 503 } : undefined);
  const client = connect();
  count(client, 0, 1);
  const ended = client.shutdown();
  count(client, 1, 5);
  await ended;
  t.strictSame(numbers(), [0]);
  t.match(client.stats(), { recorded: 5, accepted: 1, dropped: { shutdown: 4 } });
});

t.test('a flush is over where nothing can follow: after a shutdown, and beside one in vain', async (t) => {
  const ended = connect();
  await ended.shutdown();
  ended.custom('late');
  await ended.flush({ timeoutMs: 1_000_000 });
  gateway.answer = () => ({ status: 503 });
  const client = connect();
  count(client, 0, 1);
  await Promise.all([client.flush({ timeoutMs: 1_000_000 }), client.shutdown({ timeoutMs: 100 })]);
  t.match(client.stats(), { recorded: 1, dropped: { shutdown: 1 } });
});

t.test('shutdown without a gateway ends at its deadline and counts what it drops', async (t) => {
  await gateway.close();
  const client = connect();
  count(client, 0, 5);
  const began = performance.now();
  await client.shutdown({ timeoutMs: 200 });
  t.ok(performance.now() - began < 1000);
  t.match(client.stats(), { recorded: 5, accepted: 0, dropped: { shutdown: 5 }, queued: 0, inFlight: 0 });
  await gateway.reopen();
});

t.test('shutdown aborts a request that hangs, so that nothing keeps the process', async (t) => {
  gateway.answer = () => ({ status: 200, afterMs: 60_000 });
  const client = connect({ requestTimeoutMs: 60_000 });
  count(client, 0, 5);
  await client.shutdown({ timeoutMs: 100 });
  t.match(client.stats(), { dropped: { shutdown: 5 }, inFlight: 0 });
});

t.test('an answer that comes after shutdown changes the books no more', async (t) => {
  let answer: (response: Response) => void = () => {};
  const client = connect({ fetch: () => new Promise((resolve) => (answer = resolve)) });
  count(client, 0, 5);
  await client.shutdown({ timeoutMs: 50 });
  const stats = client.stats();
  t.match(stats, { accepted: 0, dropped: { shutdown: 5 }, inFlight: 0 });
  answer(Response.json({ accepted: 5, rejected: 0 }));
  await new Promise((resolve) => setImmediate(resolve));
  t.strictSame(client.stats(), stats);
});

t.test('a fetch that knows no signals and never answers is given up in time, and tried again', async (t) => {
  let calls = 0;
  const client = connect({
    flushIntervalMs: 1,
    requestTimeoutMs: 50,
    fetch: (...request) => ((calls += 1) === 1 ? new Promise(() => {}) : fetch(...request)),
  });
  count(client, 0, 5);
  await waitFor('the second try', () => client.stats().accepted === 5);
  t.strictSame(numbers(), upTo(5));
  t.match(client.stats(), { requests: 2, retries: 1 });
  await client.shutdown();
});

t.test('a fetch whose answers are not whole does not send for ever', async (t) => {
  let calls = 0;
  const json = { json: () => Promise.resolve({}) };
  const answers = [
    {},
    { status: 200, headers: {}, ...json },
    {
      get status() {
        throw new Error('no status');
      },
      ...json,
    },
  ];
  const client = connect({ fetch: () => Promise.resolve(answers[(calls += 1) % 3] as unknown as Response) });
  count(client, 0, 5);
  await client.flush({ timeoutMs: 300 });
  await client.shutdown({ timeoutMs: 300 });
  t.ok(calls >= 2 && calls <= 5, `${calls} calls`);
  t.match(client.stats(), { requests: calls, retries: calls, dropped: { shutdown: 5 } });
});

t.test('a batch that is still being compressed when shutdown ends is not sent, and counts as dropped', async (t) => {
  let release = (): void => {};
  let compressed = 0;
  const slowGzip = (bytes: Uint8Array, _: unknown, done: (error: null, bytes: Uint8Array) => void): void => {
    release = () => {
      compressed += 1;
      done(null, bytes);
    };
  };
  t.intercept(process, 'getBuiltinModule', { value: () => ({ gzip: slowGzip }) });
  const client = connect();
  count(client, 0, 100);
  const flushing = client.flush({ timeoutMs: 20 });
  await client.shutdown({ timeoutMs: 20 });
  await flushing;
  const stats = client.stats();
  t.match(stats, { recorded: 100, accepted: 0, dropped: { shutdown: 100 }, queued: 0, inFlight: 0 });
  release();
  t.equal(compressed, 1);
  // A request would go out before this one.
  await fetch(gateway.url, { method: 'POST', body: '{"metrics":[]}' });
  t.equal(gateway.requests.length, 1);
  t.strictSame(client.stats(), stats);
});

t.test('under a steady stream requests stay apart by the interval, not by the round trip', async (t) => {
  const client = connect({ flushIntervalMs: 100 });
  const began = performance.now();
  let n = 0;
  await waitFor(
    'half a second of records',
    () => {
      count(client, n, (n += 1));
      return performance.now() - began > 500;
    },
    { everyMs: 2 },
  );
  await client.shutdown();
  t.equal(gateway.accepted.length, n);
  t.ok(gateway.requests.length <= 7, `${gateway.requests.length} requests`);
});
