/** Deliveries as one: what keeps the journal, what lets go of it when it fills, where sinks go on, how all of it ends. */
import { randomUUID } from 'node:crypto';
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { type Deliveries, openDeliveries } from '../../src/core/deliveries.ts';
import type { Checkpoint, Journal } from '../../src/core/journal.ts';
import type { JournalHolder } from '../../src/core/journal-upkeep.ts';
import type { Log } from '../../src/core/ports.ts';
import type { Sink } from '../../src/core/sink.ts';
import { openMemoryJournal } from '../../src/journal/memory-journal.ts';
import { createTelemetry } from '../../src/telemetry/telemetry.ts';
import { advanceUntil, settle, type VirtualClock, virtualClock } from '../support/virtual-clock.ts';
import { entryOf, valuesOf } from './harness.ts';
import { folderOf } from '../support/folder.ts';

interface World {
  readonly clock: VirtualClock;
  readonly journal: Journal;
  readonly dataDirectory: string;
  readonly lines: { readonly message: string; readonly fields: object }[];
  readonly telemetry: ReturnType<typeof createTelemetry>;
  readonly open: (sinks: readonly Sink[], holders?: readonly JournalHolder[]) => Promise<Deliveries>;
  readonly append: (...values: number[]) => Promise<void>;
}

/** A data directory that lives as long as the test; `open` may be called again, as after a restart. */
function world(t: Test, journal: Journal = openMemoryJournal({ maxBytes: 1e9 }), dataDirectory = folderOf(t)): World {
  const clock = virtualClock();
  const lines: World['lines'] = [];
  const note = (fields: object, message: string): void => void lines.push({ fields, message });
  const log: Log = { debug: () => {}, info: note, warn: note, error: note, child: () => log };
  const telemetry = createTelemetry();
  let latest: Deliveries | undefined;
  return {
    clock,
    journal,
    dataDirectory,
    lines,
    telemetry,
    open: async (sinks, holders = []) => {
      latest = await openDeliveries({
        sinks,
        journal,
        dataDirectory,
        clock,
        log,
        telemetry,
        newId: randomUUID,
        holders,
      });
      return latest;
    },
    append: async (...values) => {
      await (latest?.records ?? journal).append(entryOf(...values));
    },
  };
}

/** A sink that keeps no checkpoint. */
function plainSink(name: string, whenFull: Sink['whenFull'] = 'refuse', write?: Sink['write']) {
  const taken: number[] = [];
  const sink: Sink = {
    name,
    whenFull,
    batching: { maxMetrics: 1, maxDelayMs: 1 },
    write: async (batch, signal) => {
      await write?.(batch, signal);
      taken.push(...valuesOf(batch));
    },
  };
  return { sink, taken };
}

/** A sink that keeps its checkpoint with what it took, as a database does; the gateway then writes none, time after time. */
function exactSink(
  name = 'exact',
  state: { checkpoint?: Checkpoint; taken: number[] } = { taken: [] },
  whenFull: Sink['whenFull'] = 'refuse',
  write?: Sink['write'],
) {
  const sink: Sink = {
    name,
    whenFull,
    batching: { maxMetrics: 1, maxDelayMs: 1 },
    checkpoint: () => Promise.resolve(state.checkpoint),
    write: async (batch, signal) => {
      await write?.(batch, signal);
      state.taken.push(...valuesOf(batch));
      state.checkpoint = batch.checkpoint;
    },
  };
  return { sink, state };
}

const down = (): Promise<void> => Promise.reject(new Error('down'));
const misfits = ({ telemetry }: World): object[] =>
  telemetry
    .collect()
    .find(({ name }) => name === 'mcp_gateway_sink_checkpoint_misfit')!
    .series.map(({ labels }) => labels);
const stop = (deliveries: Deliveries): Promise<void> => deliveries.stop(AbortSignal.abort());

t.test('a checkpoint that cannot be written holds the journal, and takes no other one’s', async (t) => {
  const w = world(t);
  const [a, b] = [plainSink('a'), plainSink('b')];
  const deliveries = await w.open([a.sink, b.sink]);
  const inTheWay = join(w.dataDirectory, 'checkpoints/a.json.new');
  await mkdir(inTheWay);
  deliveries.start();
  await w.append(1);
  await w.append(2);
  await advanceUntil(w.clock, () => deliveries.all.every(({ queued }) => queued() === 0), 100);
  await advanceUntil(w.clock, () => w.lines.length > 0, 100);
  t.match(w.lines, [{ message: /checkpoints cannot be written/ }]);
  await advanceUntil(w.clock, () => true, 5000, 2);
  t.equal(w.lines.length, 1, 'said once');
  t.match(JSON.parse(await readFile(join(w.dataDirectory, 'checkpoints/b.json'), 'utf8')), { sequence: 2 });
  t.equal(w.journal.tail().sequence, 0, 'a would have to begin anew after a crash');
  await rm(inTheWay, { recursive: true });
  await advanceUntil(w.clock, () => w.journal.tail().sequence === 2, 100);
  t.match(w.lines[1], { message: /can be written again/ });
  await stop(deliveries);
});

t.test('a full journal passes a lagging sink by only as far as that frees anything', async (t) => {
  const w = world(t, openMemoryJournal({ maxBytes: 40_000 }));
  const lagging = exactSink('lagging', undefined, 'skip', down);
  const slow = exactSink('slow', undefined, 'refuse', (batch) =>
    valuesOf(batch)[0]! > 10 ? down() : Promise.resolve(),
  );
  const deliveries = await w.open([lagging.sink, slow.sink]);
  deliveries.start();
  let value = 0;
  await t.rejects(
    (async () => {
      for (;;) {
        await w.append((value += 1));
        if (value % 10 === 0) await w.clock.advance(600);
      }
    })(),
    { code: 'overloaded' },
  );
  await w.clock.advance(5000);
  t.equal(deliveries.all[1]!.position().sequence, 10);
  t.equal(w.journal.tail().sequence, 10, 'all that the slow one has taken is freed');
  t.equal(deliveries.all[0]!.counts().skipped, 10, 'and no more is passed over than that');
  t.match(w.lines.filter(({ message }) => /skips ahead/.test(message)).length, 1);
  await stop(deliveries);
});

t.test('a sink that may skip never makes requests be refused', async (t) => {
  const w = world(t, openMemoryJournal({ maxBytes: 40_000 }));
  const lagging = exactSink('lagging', undefined, 'skip', down);
  const good = exactSink('good');
  const deliveries = await w.open([lagging.sink, good.sink]);
  deliveries.start();
  for (let value = 1; value <= 500; value += 1) {
    await w.append(value);
    if (value % 5 === 0) await w.clock.advance(600);
  }
  await advanceUntil(w.clock, () => deliveries.all[1]!.queued() === 0, 100);
  t.equal(good.state.taken.length, 500);
  const { delivered, skipped, recovered } = deliveries.all[0]!.counts();
  t.ok(skipped > 300);
  t.equal(delivered + skipped + deliveries.all[0]!.queued(), 500 + recovered);
  await stop(deliveries);
});

t.test('a full journal has those snapshots taken anew that hold it back, and no others', async (t) => {
  const w = world(t, openMemoryJournal({ maxBytes: 40_000 }));
  let asked = 0;
  let held = 0;
  const totals = {
    ...exactSink('totals').sink,
    // As a snapshot of the totals does, it frees what the one before it covered.
    trimmable: () => ({ journalId: '', sequence: held, count: held }),
    snapshot: async () => {
      asked += 1;
      held = asked < 2 ? 0 : w.journal.head().sequence;
    },
  };
  let idle = 0;
  const relaxed: JournalHolder = {
    name: 'relaxed',
    trimmable: () => w.journal.head(),
    relieve: async () => void (idle += 1),
  };
  const deliveries = await w.open([totals], [relaxed]);
  deliveries.start();
  for (let value = 1; value <= 500; value += 1) {
    await w.append(value);
    if (value % 5 === 0) await w.clock.advance(600);
  }
  t.ok(asked >= 2);
  t.equal(idle, 0);
  await stop(deliveries);
});

t.test('a sink that hangs takes no time from the others when all stop', async (t) => {
  const w = world(t);
  const stopped: string[] = [];
  const hanging: Sink = {
    ...plainSink('hanging', 'refuse', () => new Promise(() => {})).sink,
    stop: async () => void stopped.push('hanging'),
  };
  const good = plainSink('good');
  const deliveries = await w.open([hanging, { ...good.sink, stop: async () => void stopped.push('good') }]);
  deliveries.start();
  await w.append(1);
  await w.clock.advance(50);
  await w.append(2);
  const deadline = new AbortController();
  let ended = false;
  const ending = deliveries.stop(deadline.signal).then(() => (ended = true));
  await settle(20);
  t.same([good.taken, stopped], [[1, 2], ['good']]);
  t.notOk(ended);
  deadline.abort(new Error('late'));
  await advanceUntil(w.clock, () => ended, 50, 100);
  await ending;
  t.same(stopped, ['good', 'hanging'], 'it is told all the same');
  t.match(w.lines, [{ message: /could not take everything in time/, fields: { sink: 'hanging', queued: 2 } }]);
});

t.test('a sink that fails to stop keeps no checkpoint from being written', async (t) => {
  const w = world(t);
  const failing = { ...plainSink('failing').sink, stop: () => Promise.reject(new Error('cannot')) };
  const deliveries = await w.open([failing]);
  deliveries.start();
  await w.append(1);
  await deliveries.stop(new AbortController().signal);
  t.match(w.lines, [{ message: /did not stop in good order/ }]);
  t.match(JSON.parse(await readFile(join(w.dataDirectory, 'checkpoints/failing.json'), 'utf8')), { sequence: 1 });
});

t.test('where one sink cannot start, those that had are stopped', async (t) => {
  const w = world(t);
  let stops = 0;
  const first = { ...plainSink('first').sink, stop: async () => void (stops += 1) };
  const second = { ...plainSink('second').sink, start: () => Promise.reject(new Error('no such folder')) };
  await t.rejects(w.open([first, second]), /no such folder/);
  t.equal(stops, 1);
});

t.test('a sink goes on where it was; a new one begins at the end; one that was removed is new again', async (t) => {
  const w = world(t);
  const a = plainSink('a');
  const first = await w.open([a.sink]);
  first.start();
  await w.append(1);
  await first.stop(new AbortController().signal);
  await w.append(2);
  const b = plainSink('b');
  const second = await w.open([a.sink, b.sink]);
  second.start();
  await w.append(3);
  await second.stop(new AbortController().signal);
  t.same([a.taken, b.taken], [[1, 2, 3], [3]]);
  t.same(w.lines, []);
  await stop(await w.open([b.sink]));
  t.match(w.lines, [{ message: /no longer configured/, fields: { sink: 'a' } }]);
  const third = await w.open([a.sink, b.sink]);
  third.start();
  await w.append(4);
  await third.stop(new AbortController().signal);
  t.same(
    [a.taken, b.taken],
    [
      [1, 2, 3, 4],
      [3, 4],
    ],
  );
  t.equal(w.lines.length, 1, 'said once');
});

t.test('a new sink is known before anything is accepted: a crash right after passes nothing by', async (t) => {
  const w = world(t);
  const [plain, exact] = [plainSink('plain'), exactSink('exact')];
  const first = await w.open([plain.sink, exact.sink]);
  // Killed before the first round of upkeep, and before any sink took anything.
  await w.append(1);
  const second = await w.open([plain.sink, exact.sink]);
  second.start();
  await second.flush(1000);
  t.same([plain.taken, exact.state.taken], [[1], [1]]);
  await stop(second);
  await stop(first);
});

t.test(
  'a sink whose checkpoint file is damaged gets everything that the journal holds, and is no new one',
  async (t) => {
    const w = world(t);
    const a = plainSink('a');
    await stop(await w.open([a.sink]));
    await w.append(1);
    await writeFile(join(w.dataDirectory, 'checkpoints/a.json'), '{"journalId":');
    const deliveries = await w.open([a.sink]);
    deliveries.start();
    await deliveries.flush(1000);
    t.same(a.taken, [1]);
    t.match(w.lines, [{ fields: { sink: 'a', misfit: 'checkpoint_lost' } }]);
    await stop(deliveries);
  },
);

t.test('what a sink and the journal disagree on is said in one line and one metric', async (t) => {
  const filled = async (journal: Journal, metrics: number): Promise<Journal> => {
    for (let value = 1; value <= metrics; value += 1) await journal.append(entryOf(value));
    return journal;
  };
  await t.test('an older database beside a newer journal', async (t) => {
    const w = world(t, await filled(openMemoryJournal(), 10));
    await w.journal.trim(6);
    const { sink, state } = exactSink('exact', {
      checkpoint: { journalId: w.journal.id, sequence: 4, count: 4 },
      taken: [],
    });
    const deliveries = await w.open([sink]);
    deliveries.start();
    await deliveries.all[0]!.flush();
    t.same(state.taken, [7, 8, 9, 10], 'from its checkpoint on, what there still is');
    t.match(deliveries.all[0]!.counts(), { recovered: 6, skipped: 2, delivered: 4 });
    t.match(w.lines, [
      { message: /older than the journal/, fields: { misfit: 'trimmed', missing: 2 } },
      { message: /no longer holds/, fields: { metrics: 2 } },
    ]);
    t.same(misfits(w), [{ sink: 'exact', misfit: 'trimmed' }]);
    await stop(deliveries);
  });

  await t.test('an older database beside a journal of which nothing is left', async (t) => {
    const w = world(t, await filled(openMemoryJournal(), 10));
    await w.journal.trim(10);
    const { sink } = exactSink('exact', { checkpoint: { journalId: w.journal.id, sequence: 4, count: 4 }, taken: [] });
    const deliveries = await w.open([sink]);
    deliveries.start();
    await deliveries.flush(1000);
    t.match(deliveries.all[0]!.counts(), { recovered: 6, skipped: 6, delivered: 0 });
    await stop(deliveries);
  });

  await t.test('a newer database beside an older journal', async (t) => {
    const w = world(t, await filled(openMemoryJournal(), 5));
    const { sink, state } = exactSink('exact', {
      checkpoint: { journalId: w.journal.id, sequence: 9, count: 9 },
      taken: [],
    });
    const first = await w.open([sink]);
    first.start();
    await w.append(6);
    await first.all[0]!.flush();
    t.same(state.taken, [6], 'what the journal numbers again is new');
    t.same(state.checkpoint, { journalId: first.journalId, sequence: 6, count: 6 });
    t.match(w.lines, [{ fields: { misfit: 'journal_rolled_back' } }]);
    t.same(misfits(w), [{ sink: 'exact', misfit: 'journal_rolled_back' }]);
    await stop(first);
    const second = await w.open([sink]);
    t.not(first.journalId, w.journal.id);
    t.equal(second.journalId, first.journalId, 'the new id stays');
    t.equal(second.all[0]!.queued(), 0);
    t.equal(w.lines.length, 1);
    await stop(second);
  });

  await t.test('a journal that was rolled back twice', async (t) => {
    const w = world(t, await filled(openMemoryJournal(), 5));
    const at = (count: number): Checkpoint => ({ journalId: w.journal.id, sequence: count, count });
    const [late, far] = [exactSink('late', { taken: [] }), exactSink('far', { checkpoint: at(9), taken: [] })];
    const first = await w.open([far.sink]);
    await stop(first);
    const older = await filled({ ...openMemoryJournal(), id: w.journal.id }, 3);
    far.state.checkpoint = { journalId: first.journalId, sequence: 5, count: 5 };
    late.state.checkpoint = at(4);
    const second = await world(t, older, w.dataDirectory).open([far.sink, late.sink]);
    t.same(
      second.all.map(({ position }) => position().count),
      [3, 3],
      'neither lies beyond what there is',
    );
    await stop(second);
  });

  await t.test('a database of another journal, as beside a missing one', async (t) => {
    const w = world(t, await filled(openMemoryJournal(), 3));
    const { sink, state } = exactSink('exact', { checkpoint: { journalId: 'lost', sequence: 9, count: 9 }, taken: [] });
    const deliveries = await w.open([sink]);
    deliveries.start();
    await deliveries.flush(1000);
    t.same(state.taken, [1, 2, 3]);
    t.match(w.lines, [{ fields: { misfit: 'other_journal' } }]);
    await stop(deliveries);
  });

  await t.test('a deleted database', async (t) => {
    const w = world(t);
    const { sink, state } = exactSink();
    const first = await w.open([sink]);
    first.start();
    await w.append(1);
    await first.stop(new AbortController().signal);
    await w.append(2);
    delete state.checkpoint;
    state.taken.length = 0;
    const second = await w.open([sink]);
    second.start();
    await second.flush(1000);
    t.same(state.taken, [2], 'everything that the journal still holds');
    t.match(w.lines, [{ fields: { misfit: 'checkpoint_lost' } }]);
    await stop(second);
  });
});

t.test('a flush says which sinks are behind', async (t) => {
  const w = world(t);
  const deliveries = await w.open([plainSink('bad', 'refuse', down).sink, plainSink('good').sink]);
  deliveries.start();
  await w.append(1);
  const flush = deliveries.flush(1000);
  flush.catch(() => {});
  await w.clock.advance(2000);
  await t.rejects(flush, { code: 'overloaded', message: /within 1 seconds; behind: bad\. / });
  await stop(deliveries);
});
