import t from 'tap';
import { type Sink, Unacceptable } from '../../src/core/sink.ts';
import { advanceUntil, settle } from '../support/virtual-clock.ts';
import { entryOf, harness, valuesOf } from './harness.ts';

/** A sink that notes what it took; `fail` may throw before it does. */
function notingSink(
  fail: (values: readonly number[]) => void | Promise<void> = () => {},
  batching = { maxMetrics: 4, maxDelayMs: 1000 },
) {
  const batches: number[][] = [];
  const sink: Sink = {
    name: 'noting',
    whenFull: 'skip',
    batching,
    write: async (batch) => {
      const values = valuesOf(batch);
      await fail(values);
      batches.push(values);
    },
  };
  return { sink, batches };
}

t.test('a batch goes out when it is full', async (t) => {
  const { sink, batches } = notingSink();
  const h = await harness(sink);
  t.teardown(h.remove);
  h.delivery.start();
  await h.records.append(entryOf(1, 2));
  await settle();
  t.same(batches, [], 'not before');
  await h.records.append(entryOf(3, 4));
  await settle();
  t.same(batches, [[1, 2, 3, 4]]);
  await h.delivery.stop();
});

t.test('a batch goes out when its oldest metric has waited long enough', async (t) => {
  const { sink, batches } = notingSink();
  const h = await harness(sink);
  t.teardown(h.remove);
  h.delivery.start();
  await h.records.append(entryOf(1));
  await h.clock.advance(999);
  t.same(batches, []);
  t.equal(h.delivery.queueAgeMs(), 999);
  await h.clock.advance(1);
  t.same(batches, [[1]]);
  t.equal(h.delivery.queueAgeMs(), 0);
  await h.delivery.stop();
});

t.test('flush delivers at once and resolves when all is taken', async (t) => {
  const { sink, batches } = notingSink();
  const h = await harness(sink);
  t.teardown(h.remove);
  h.delivery.start();
  await h.records.append(entryOf(1));
  await h.delivery.flush();
  t.same(batches, [[1]]);
  await h.delivery.stop();
});

t.test('an outage delays and loses nothing, and order is kept', async (t) => {
  let down = true;
  const { sink, batches } = notingSink(() => {
    if (down) throw new Error('connection refused');
  });
  const h = await harness(sink);
  t.teardown(h.remove);
  h.delivery.start();
  for (let value = 1; value <= 20; value += 2) await h.records.append(entryOf(value, value + 1));
  await advanceUntil(h.clock, () => (h.delivery.trouble()?.sinceMs ?? 0) > 60 * 60_000, 30_000);
  t.same(batches, []);
  t.equal(h.delivery.queued(), 20);
  t.match(h.delivery.trouble(), { message: 'connection refused' });
  t.equal(h.setAside.size(), 0, 'an outage sets nothing aside');
  down = false;
  await advanceUntil(h.clock, () => h.delivery.queued() === 0);
  t.same(
    batches.flat(),
    Array.from({ length: 20 }, (_, index) => index + 1),
  );
  t.equal(h.delivery.trouble(), undefined);
  t.same(h.delivery.counts(), { delivered: 20, setAside: 0, skipped: 0, recovered: 0 });
  await h.delivery.stop();
});

t.test('what is unacceptable is set aside alone, and blocks nothing behind it', async (t) => {
  const { sink, batches } = notingSink((values) => {
    if (values.includes(3)) throw new Unacceptable('three is never taken');
  });
  const h = await harness(sink);
  t.teardown(h.remove);
  h.delivery.start();
  await h.records.append(entryOf(1, 2, 3, 4));
  await h.records.append(entryOf(5, 6, 7, 8));
  await advanceUntil(h.clock, () => h.delivery.queued() === 0);
  t.same(batches.flat(), [1, 2, 4, 5, 6, 7, 8]);
  const [aside] = await h.setAside.list();
  t.match(aside, { sink: 'noting', reason: 'three is never taken', event: { value: 3 } });
  t.same(h.delivery.counts(), { delivered: 7, setAside: 1, skipped: 0, recovered: 0 });
  await h.delivery.stop();
});

t.test('an event that fails like an outage while its neighbours are taken is set aside', async (t) => {
  const { sink, batches } = notingSink((values) => {
    if (values.includes(1)) throw new Error('constraint failed');
  });
  const h = await harness(sink);
  t.teardown(h.remove);
  h.delivery.start();
  await h.records.append(entryOf(1, 2, 3, 4, 5));
  await advanceUntil(h.clock, () => h.delivery.queued() === 0);
  t.same(batches.flat(), [2, 3, 4, 5]);
  t.match(await h.setAside.list(), [{ event: { value: 1 } }]);
  await h.delivery.stop();
});

t.test('what was set aside can be driven again', async (t) => {
  let strict = true;
  const { sink, batches } = notingSink((values) => {
    if (strict && values.includes(2)) throw new Unacceptable('two');
  });
  const h = await harness(sink);
  t.teardown(h.remove);
  h.delivery.start();
  await h.records.append(entryOf(1, 2, 3, 4));
  await advanceUntil(h.clock, () => h.delivery.queued() === 0);
  t.same(await h.delivery.redrive(), { delivered: 0, remaining: 1 });
  strict = false;
  t.same(await h.delivery.redrive(), { delivered: 1, remaining: 0 });
  t.same(batches.flat(), [1, 3, 4, 2]);
  await h.delivery.stop();
});

t.test('a delivery goes on inside a record', async (t) => {
  const { sink, batches } = notingSink(undefined, { maxMetrics: 2, maxDelayMs: 10 });
  const first = await harness(sink);
  t.teardown(first.remove);
  await first.records.append(entryOf(1, 2, 3, 4, 5));
  const second = await harness(sink, { journal: first.journal, position: { sequence: 0, count: 3 } });
  t.teardown(second.remove);
  t.equal(second.delivery.counts().recovered, 2);
  second.delivery.start();
  await second.clock.advance(100);
  t.same(batches, [[4, 5]]);
  t.same(second.delivery.position(), { journalId: first.journal.id, sequence: 1, count: 5 });
  await second.delivery.stop();
});

t.test('a sink that fell behind what memory holds reads the journal', async (t) => {
  const { sink, batches } = notingSink();
  const h = await harness(sink, { memoryBytes: 1 });
  t.teardown(h.remove);
  for (let value = 1; value <= 9; value += 1) await h.records.append(entryOf(value));
  h.delivery.start();
  await h.clock.advance(10_000);
  t.same(batches.flat(), [1, 2, 3, 4, 5, 6, 7, 8, 9]);
  await h.delivery.stop();
});

t.test('what was trimmed before the sink took it is skipped and counted', async (t) => {
  const { sink, batches } = notingSink();
  const h = await harness(sink, { memoryBytes: 1 });
  t.teardown(h.remove);
  for (let value = 1; value <= 9; value += 1) await h.records.append(entryOf(value));
  await h.journal.trim(4);
  const lost = h.journal.tail().count;
  h.delivery.start();
  await h.clock.advance(10_000);
  t.ok(lost > 0);
  t.equal(h.delivery.counts().skipped, lost);
  t.same(batches.flat(), [1, 2, 3, 4, 5, 6, 7, 8, 9].slice(lost));
  await h.delivery.stop();
});

t.test('skip passes over a stretch and counts it', async (t) => {
  const { sink, batches } = notingSink();
  const h = await harness(sink);
  t.teardown(h.remove);
  for (let value = 1; value <= 6; value += 1) await h.records.append(entryOf(value));
  h.delivery.skip({ sequence: 4, count: 4 });
  h.delivery.start();
  await h.clock.advance(10_000);
  t.same(batches.flat(), [5, 6]);
  t.equal(h.delivery.counts().skipped, 4);
  await h.delivery.stop();
});

t.test('a hanging write is aborted after its time limit', async (t) => {
  let signal: AbortSignal | undefined;
  const sink: Sink = {
    name: 'hanging',
    whenFull: 'skip',
    write: (_, given) => {
      signal = given;
      return new Promise((_resolve, reject) =>
        given.addEventListener('abort', () => reject(given.reason as Error), { once: true }),
      );
    },
  };
  const h = await harness(sink);
  t.teardown(h.remove);
  h.delivery.start();
  await h.records.append(entryOf(1));
  await h.clock.advance(2000);
  t.equal(signal?.aborted, false);
  const first = signal;
  await h.clock.advance(60_000);
  t.equal(first?.aborted, true);
  t.equal(h.delivery.queued(), 1);
  await h.delivery.stop(AbortSignal.abort());
});

t.test('after a failure a sink with a checkpoint of its own is asked where it stands', async (t) => {
  const stored: number[] = [];
  let checkpoint = { journalId: '', sequence: 0, count: 0 };
  let loseAnswer = true;
  const sink: Sink = {
    name: 'exact',
    whenFull: 'refuse',
    batching: { maxMetrics: 2, maxDelayMs: 10 },
    checkpoint: () => Promise.resolve(checkpoint),
    write: async (batch) => {
      stored.push(...valuesOf(batch));
      checkpoint = batch.checkpoint;
      if (loseAnswer) {
        loseAnswer = false;
        throw new Error('the answer was lost after the commit');
      }
    },
  };
  const h = await harness(sink);
  t.teardown(h.remove);
  h.delivery.start();
  await h.records.append(entryOf(1, 2));
  await h.records.append(entryOf(3, 4));
  await h.clock.advance(10_000);
  t.same(stored, [1, 2, 3, 4], 'nothing twice');
  t.equal(h.delivery.counts().delivered, 4);
  await h.delivery.stop();
});
