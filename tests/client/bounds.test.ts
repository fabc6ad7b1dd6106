import fc from 'fast-check';
import t from 'tap';
import { createMetricsClient } from '../../src/client/index.ts';
import type { ClientStats } from '../../src/client/index.ts';
import { createBuffer, divide, type Records } from '../../src/client/buffer.ts';
import { startStandIn, type Answer } from './stand-in-gateway.ts';

const balance = (stats: ClientStats): number => {
  const { overflow, refused, invalid, shutdown } = stats.dropped;
  return stats.accepted + stats.rejected + overflow + refused + invalid + shutdown + stats.queued + stats.inFlight;
};

t.test('when the buffer is full the oldest go, counted and told once', async (t) => {
  const gateway = await startStandIn();
  t.teardown(() => gateway.close());
  const warnings: string[] = [];
  const client = createMetricsClient({
    url: gateway.url,
    apiKey: 'k',
    maxQueueSize: 10,
    flushIntervalMs: 3_600_000,
    onWarning: (text) => warnings.push(text),
  });
  for (let n = 0; n < 25; n += 1) client.custom('x', { dimensions: { n } });
  t.match(client.stats(), { recorded: 25, queued: 10, dropped: { overflow: 15 } });
  await client.shutdown();
  t.strictSame(
    gateway.accepted.map((metric) => metric.dimensions['n']),
    [15, 16, 17, 18, 19, 20, 21, 22, 23, 24],
  );
  t.equal(warnings.length, 1);
});

const textsOf = ({ bytes, lengths }: Records): string[] => {
  let end = 0;
  return lengths.map((length) => Buffer.from(bytes.subarray(end, (end += length))).toString());
};

t.test(
  'the buffer is bounded by size as well as by number, keeps the order, and leaves what was taken alone',
  async () => {
    const step = fc.oneof(
      { weight: 4, arbitrary: fc.record({ length: fc.nat(3000), letter: fc.constantFrom('x', 'é', '語', '🌍') }) },
      fc.constant('take' as const),
    );
    const bytesOf = (texts: readonly string[]): number => Buffer.byteLength(texts.join(''));
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 60 }), fc.array(step, { maxLength: 300 }), (maxMetrics, steps) => {
        const buffer = createBuffer(maxMetrics);
        const model: string[] = [];
        const all: { taken: Records; expected: string }[] = [];
        const take = (limit: number, mostBytes: number): void => {
          const expected: string[] = [];
          while (model.length > 0 && expected.length < limit) {
            if (expected.length > 0 && bytesOf(expected) + bytesOf([model[0]!]) > mostBytes) break;
            expected.push(model.shift()!);
          }
          all.push({ taken: buffer.take(limit, mostBytes), expected: expected.join('|') });
        };
        for (const [index, step] of steps.entries()) {
          if (step === 'take') {
            take(5, 4000);
            continue;
          }
          const metric = `${index}:${step.letter.repeat(step.length / step.letter.length)}`;
          let expected = 0;
          while (
            model.length > 0 &&
            (model.length >= maxMetrics || bytesOf(model) + metric.length >= maxMetrics * 1000)
          ) {
            model.shift();
            expected += 1;
          }
          model.push(`${metric},`);
          if (buffer.push(metric) !== expected) return false;
        }
        take(1000, Infinity);
        return all.every(({ taken, expected }) => textsOf(taken).join('|') === expected);
      }),
    );
  },
);

t.test('a divided batch is the same metrics in the same order', async () => {
  fc.assert(
    fc.property(
      fc.array(fc.string({ maxLength: 50 }), { minLength: 1 }),
      fc.nat(60),
      fc.nat(2000),
      (texts, limit, most) => {
        const buffer = createBuffer(1000);
        for (const text of texts) buffer.push(text);
        const [first, others] = divide(buffer.take(1000, Infinity), limit, most);
        const [taken, rest] = [textsOf(first), textsOf(others)];
        return (
          [...taken, ...rest].join('|') === texts.map((text) => `${text.toWellFormed()},`).join('|') &&
          taken.length <= limit &&
          (taken.length <= 1 || first.bytes.length <= most)
        );
      },
    ),
  );
});

t.test('whatever the gateway does, the books balance, and what it took in counts once', async () => {
  const answers: fc.Arbitrary<Answer | undefined> = fc.oneof(
    { weight: 3, arbitrary: fc.constant(undefined) },
    fc.constantFrom<Answer>(
      { status: 500 },
      { status: 409 },
      { status: 503, headers: { 'retry-after': '0' } },
      { status: 400 },
      { status: 401 },
      { status: 422 },
      { status: 413 },
      { status: 200, takeIn: true, cut: true },
      { status: 0, cut: true },
    ),
  );
  await fc.assert(
    fc.asyncProperty(
      fc.array(answers, { maxLength: 12 }),
      fc.array(fc.integer({ min: 1, max: 30 }), { minLength: 1, maxLength: 8 }),
      fc.integer({ min: 1, max: 12 }),
      async (plan, bursts, maxBatchSize) => {
        const gateway = await startStandIn();
        try {
          const taken = new Set<unknown>();
          gateway.answer = ({ headers }, index) => {
            const told = plan[index];
            const key = headers['idempotency-key'];
            // No gateway that took a request in says of the same bytes that they are too many.
            if (told?.status === 413 && taken.has(key)) return undefined;
            if (told === undefined || told.takeIn === true) taken.add(key);
            return told;
          };
          const client = createMetricsClient({
            url: gateway.url,
            apiKey: 'k',
            maxBatchSize,
            maxQueueSize: 60,
            flushIntervalMs: 1,
            onWarning: () => {},
          });
          let n = 0;
          for (const burst of bursts) {
            for (let i = 0; i < burst; i += 1) client.custom('x', { dimensions: { n: (n += 1) } });
            await new Promise((resolve) => setImmediate(resolve));
            if (balance(client.stats()) !== n) return false;
          }
          await client.shutdown({ timeoutMs: 200 });
          const stats = client.stats();
          const ids = gateway.accepted.map((metric) => metric.dimensions['n']);
          return (
            balance(stats) === n &&
            stats.queued === 0 &&
            stats.inFlight === 0 &&
            new Set(ids).size === ids.length &&
            ids.length >= stats.accepted
          );
        } finally {
          await gateway.close();
        }
      },
    ),
    { numRuns: 60 },
  );
});
