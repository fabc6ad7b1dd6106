import fc from 'fast-check';
import t, { type Test } from 'tap';
import type { Refusal } from '../../src/core/refusal.ts';
import { rateLimit, type RateLimitOptions } from '../../src/processors/rate-limit.ts';
import { createTokenBuckets } from '../../src/core/token-buckets.ts';
import { authenticated, client, submission, testContext } from './context.ts';

async function start(t: Test, options?: RateLimitOptions) {
  const context = testContext();
  const stage = rateLimit(options);
  await stage.start?.(context);
  /** Undefined where admitted, else the refusal; with the headers of the answer. */
  const request = (by = client()): { refusal: Refusal | undefined; headers: Record<string, string> } => {
    const from = submission();
    const headers = () => Object.fromEntries(from.answerHeaders);
    try {
      t.notOk(stage.process(authenticated(from, by)) instanceof Promise);
      return { refusal: undefined, headers: headers() };
    } catch (error) {
      return { refusal: error as Refusal, headers: headers() };
    }
  };
  return { context, stage, request };
}

t.test(
  'a burst of the whole limit is admitted, and the next request is refused with an exact Retry-After',
  async (t) => {
    const { context, request } = await start(t, { perMinute: 20 });
    for (let sent = 0; sent < 20; sent += 1) t.equal(request().refusal, undefined);
    const { refusal, headers } = request();
    t.equal(refusal?.code, 'rate_limited');
    t.equal(refusal?.options.retryAfterSeconds, 3, 'a token comes every 3 seconds');
    t.match(refusal?.message, /20 requests a minute/);
    t.same(headers, {
      'X-RateLimit-Limit': '20',
      'X-RateLimit-Remaining': '0',
      'RateLimit-Policy': '"key";q=20;w=60',
      RateLimit: '"key";r=0;t=3',
    });
    await context.clock.advance(2999);
    t.equal(request().refusal?.options.retryAfterSeconds, 1, 'one millisecond is told as a second');
    await context.clock.advance(1);
    t.equal(request().refusal, undefined, 'exactly when it was promised');
    t.equal(request().refusal?.code, 'rate_limited');
  },
);

t.test('whatever came before, waiting as Retry-After says is enough, and a second less is not', (t) => {
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 5000 }),
      fc.array(fc.double({ min: 0, max: 90_000, noNaN: true }), { maxLength: 30 }),
      (perMinute, waits) => {
        const buckets = createTokenBuckets(10);
        let now = 1e9;
        for (const wait of waits) {
          now += wait;
          buckets.take('a', perMinute, now);
        }
        let state = buckets.take('a', perMinute, now);
        while (state.granted) state = buckets.take('a', perMinute, now);
        const seconds = Math.ceil(state.nextTokenMs / 1000);
        const early = buckets.peek('a', perMinute, now + (seconds - 1) * 1000 - 1).granted;
        return !early && buckets.take('a', perMinute, now + seconds * 1000).granted;
      },
    ),
  );
  t.end();
});

t.test('over any time no more is granted than burst plus refill', (t) => {
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 600 }),
      fc.array(fc.double({ min: 0, max: 500, noNaN: true }), { maxLength: 400 }),
      (perMinute, waits) => {
        const buckets = createTokenBuckets(10);
        let now = 0;
        let granted = 0;
        for (const wait of waits) {
          now += wait;
          if (buckets.take('a', perMinute, now).granted) granted += 1;
        }
        return granted <= perMinute + (now / 60_000) * perMinute + 1e-6;
      },
    ),
  );
  t.end();
});

t.test("a key's own limit goes before the default, and keys do not share", async (t) => {
  const { request } = await start(t, { perMinute: 1000 });
  const slow = client({ keyId: 'key_slow', limits: { requestsPerMinute: 1 } });
  t.equal(request(slow).headers['X-RateLimit-Limit'], '1');
  t.equal(request(slow).refusal?.options.retryAfterSeconds, 60);
  t.equal(request().refusal, undefined);
  const shut = client({ keyId: 'key_shut', limits: { requestsPerMinute: 0 } });
  t.equal(request(shut).refusal?.code, 'rate_limited', 'a limit of 0 admits nothing');
});

t.test('the state is told without taking a token', async (t) => {
  const { context, stage, request } = await start(t, { perMinute: 60 });
  for (let sent = 0; sent < 10; sent += 1) request();
  await context.clock.advance(2500);
  const state = stage.state(client());
  t.equal(state.limit, 60);
  t.ok(Math.abs(state.tokens - 52.5) < 1e-6);
  t.ok(Math.abs(state.fullMs - 7500) < 1e-6);
  t.same(stage.state(client()), state);
});

t.test('remembered keys are bounded; the least recently used is forgotten', (t) => {
  const buckets = createTokenBuckets(2);
  buckets.take('a', 1, 0);
  buckets.take('b', 1, 0);
  t.equal(buckets.take('a', 1, 1).granted, false);
  buckets.take('c', 1, 1);
  t.equal(buckets.size(), 2);
  t.end();
});

t.test('refused requests are counted by their key and its service', async (t) => {
  const { context, request } = await start(t, { perMinute: 1 });
  request();
  request();
  const family = context.telemetry.collect().find(({ name }) => name === 'mcp_gateway_rate_limited_requests_total');
  t.match(family?.series, [{ labels: { service: 'auth-server', key: client().keyId }, value: 1 }]);
});
