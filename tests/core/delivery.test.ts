import t from 'tap';
import { openSegmentedLog } from '../../src/journal/segmented-log.ts';
import { type Sink, Unacceptable } from '../../src/core/sink.ts';
import { openMemoryJournal } from '../../src/journal/memory-journal.ts';
import { simulatedDisk } from '../journal/simulated-disk.ts';
import { silentLog } from '../support/silent-log.ts';
import { advanceUntil, settle, virtualClock } from '../support/virtual-clock.ts';
import { entryOf, harness, memorySetAside, valuesOf } from './harness.ts';

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
  // In memory, so that the outage never ends while the delivery looks for a culprit.
  const h = await harness(sink, { setAside: memorySetAside() });
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
  t.same(h.delivery.counts(), { delivered: 20, setAside: 0, skipped: 0, recovered: 0, redriven: 0 });
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
  t.same(h.delivery.counts(), { delivered: 7, setAside: 1, skipped: 0, recovered: 0, redriven: 0 });
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

t.test('a sink that hangs and hears no signal does not keep the journal from being freed', async (t) => {
  let release = (): void => {};
  const taken: number[] = [];
  const sink: Sink = {
    name: 'deaf',
    whenFull: 'skip',
    batching: { maxMetrics: 2, maxDelayMs: 10 },
    write: async (batch) => {
      if (taken.length === 0) await new Promise<void>((resolve) => (release = resolve));
      taken.push(...valuesOf(batch));
    },
  };
  const h = await harness(sink);
  t.teardown(h.remove);
  h.delivery.start();
  for (let value = 1; value <= 6; value += 1) await h.records.append(entryOf(value));
  await h.clock.advance(100);
  h.delivery.skip({ sequence: 4, count: 4 });
  t.equal(h.delivery.position().sequence, 4, 'it has moved on, though the write goes on');
  release();
  await advanceUntil(h.clock, () => h.delivery.queued() === 0);
  t.same(taken, [1, 2, 5, 6]);
  t.same(
    h.delivery.counts(),
    { delivered: 2, setAside: 0, skipped: 4, recovered: 0, redriven: 0 },
    'what was skipped stays counted so',
  );
  await h.delivery.stop();
});

t.test('skipping ends the write of what is skipped', async (t) => {
  const { sink, batches } = notingSink(undefined, { maxMetrics: 2, maxDelayMs: 10 });
  let hangs = true;
  const hanging: Sink = {
    ...sink,
    write: async (batch, signal) => {
      if (hangs)
        await new Promise((_, reject) =>
          signal.addEventListener('abort', () => reject(signal.reason as Error), { once: true }),
        );
      await sink.write(batch, signal);
    },
  };
  const h = await harness(hanging);
  t.teardown(h.remove);
  h.delivery.start();
  for (let value = 1; value <= 6; value += 1) await h.records.append(entryOf(value));
  await h.clock.advance(100);
  hangs = false;
  h.delivery.skip({ sequence: 3, count: 3 });
  await h.clock.advance(100);
  t.same(batches.flat(), [4, 5, 6]);
  t.same(h.delivery.counts(), { delivered: 3, setAside: 0, skipped: 3, recovered: 0, redriven: 0 });
  t.equal(h.delivery.trouble(), undefined);
  await h.delivery.stop();
});

t.test('where the journal can be read no more, all up to its head is skipped and counted', async (t) => {
  const { sink, batches } = notingSink();
  const journal = openMemoryJournal({ maxBytes: 1e9 });
  let damaged = true;
  const h = await harness(sink, {
    journal: { ...journal, read: (after, limit) => (damaged ? Promise.resolve([]) : journal.read(after, limit)) },
    memoryBytes: 1,
  });
  t.teardown(h.remove);
  for (let value = 1; value <= 3; value += 1) await h.records.append(entryOf(value));
  h.delivery.start();
  await h.delivery.flush();
  t.equal(h.delivery.counts().skipped, 3);
  damaged = false;
  await h.records.append(entryOf(4));
  await h.delivery.flush();
  t.same(batches, [[4]]);
  await h.delivery.stop();
});

t.test('a flush that nobody waits for any longer is forgotten', async (t) => {
  const { sink } = notingSink(() => {
    throw new Error('down');
  });
  const h = await harness(sink);
  t.teardown(h.remove);
  h.delivery.start();
  await h.records.append(entryOf(1));
  const abort = new AbortController();
  const flush = h.delivery.flush(abort.signal);
  abort.abort(new Error('enough'));
  await t.rejects(flush, /enough/);
  await t.rejects(h.delivery.flush(abort.signal), /enough/);
  await h.delivery.stop();
});

t.test('an outage behind a poison event does not set it aside twice', async (t) => {
  let checkpoint = { journalId: '', sequence: 0, count: 0 };
  let down = false;
  const taken: number[] = [];
  const sink: Sink = {
    name: 'exact',
    whenFull: 'refuse',
    batching: { maxMetrics: 1, maxDelayMs: 10 },
    checkpoint: () => Promise.resolve(checkpoint),
    write: (batch) => {
      if (down) return Promise.reject(new Error('down'));
      if (valuesOf(batch).includes(2)) return Promise.reject(new Unacceptable('two'));
      taken.push(...valuesOf(batch));
      ({ checkpoint } = batch);
      return Promise.resolve();
    },
  };
  const h = await harness(sink);
  t.teardown(h.remove);
  h.delivery.start();
  await h.records.append(entryOf(1, 2));
  await advanceUntil(h.clock, () => h.delivery.queued() === 0);
  down = true;
  await h.records.append(entryOf(3));
  await h.clock.advance(3000);
  down = false;
  await advanceUntil(h.clock, () => h.delivery.queued() === 0);
  t.same(taken, [1, 3]);
  t.same(h.delivery.counts(), { delivered: 2, setAside: 1, skipped: 0, recovered: 0, redriven: 0 });
  await h.delivery.stop();
});

t.test('a sink that keeps its own checkpoint is handed set-aside events only where it takes them', async (t) => {
  let strict = true;
  const late: string[] = [];
  const exact = (takesLate: boolean): Sink => ({
    name: 'exact',
    whenFull: 'refuse',
    checkpoint: () => Promise.resolve(undefined),
    write: async (batch) => {
      if (strict && valuesOf(batch).includes(2)) throw new Unacceptable('two');
      if (batch.late === true) late.push(...batch.events.map(({ id }) => id));
    },
    takesLate,
  });
  const drive = async (sink: Sink) => {
    strict = true;
    const h = await harness(sink);
    t.teardown(h.remove);
    h.delivery.start();
    await h.records.append(entryOf(1, 2, 3));
    await advanceUntil(h.clock, () => h.delivery.queued() === 0);
    strict = false;
    return h;
  };
  const able = await drive(exact(true));
  const [aside] = await able.setAside.list();
  t.same(await able.delivery.redrive(), { delivered: 1, remaining: 0 });
  t.same(late, [aside?.id], 'under the id that it had the first time');
  const unable = await drive(exact(false));
  await t.rejects(unable.delivery.redrive(), /takesLate/);
  t.equal(unable.setAside.size(), 1, 'nothing is lost by trying');
  await able.delivery.stop();
  await unable.delivery.stop();
  await t.rejects(able.delivery.redrive(), /stops/);
});

t.test('a record that cannot be decoded is set aside as it is, and goes to the sink again as it was', async (t) => {
  const strange = { envelope: Buffer.from('{"f":"future"}'), payload: Buffer.from([1, 2, 3]), metrics: 2 };
  let understands = false;
  const payloads: Uint8Array[] = [];
  const sink: Sink = {
    name: 'bytes',
    whenFull: 'refuse',
    batching: { maxMetrics: 4, maxDelayMs: 10 },
    write: async ({ records }) => {
      for (const { envelope, payload } of records) {
        if (!understands && Buffer.from(envelope).includes('future')) throw new Unacceptable('cannot decode');
        payloads.push(payload);
      }
    },
  };
  const h = await harness(sink);
  t.teardown(h.remove);
  h.delivery.start();
  await h.records.append(strange);
  await h.records.append(entryOf(1));
  await advanceUntil(h.clock, () => h.delivery.queued() === 0);
  t.same(h.delivery.counts(), { delivered: 1, setAside: 2, skipped: 0, recovered: 0, redriven: 0 });
  understands = true;
  t.same(await h.delivery.redrive(), { delivered: 2, remaining: 0 });
  t.same(payloads.slice(1), [strange.payload, strange.payload]);
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

t.test(
  'what the journal can no longer read is skipped and counted, at its end and before empty records too',
  async (t) => {
    const disk = simulatedDisk();
    const journal = await openSegmentedLog({
      directory: '/journal',
      clock: virtualClock(),
      log: silentLog,
      files: disk.files,
      maxBytes: 1e6,
    });
    for (const entry of [entryOf(1), entryOf(2, 3), entryOf(), entryOf(4), entryOf(5, 6, 7)])
      await journal.append(entry);
    // Bodies rot while the journal is open: of the record of 2 and 3, and of the last one.
    disk.edit(disk.paths()[0]!, (bytes) => {
      for (const value of ['"value":2', '"value":7']) bytes[bytes.indexOf(value)] = 0x3f;
      return bytes;
    });
    const { sink, batches } = notingSink();
    const h = await harness(sink, { journal });
    t.teardown(h.remove);
    h.delivery.start();
    await advanceUntil(h.clock, () => h.delivery.queued() === 0);
    t.same(batches.flat(), [1, 4]);
    t.match(h.delivery.counts(), { delivered: 2, skipped: 5 });
    t.same(h.delivery.position(), { journalId: journal.id, ...journal.head() });
    await h.delivery.stop();
  },
);
