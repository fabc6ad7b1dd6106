/** Journal and delivery against the simplest model there is: a list of what was appended. */
import { deepStrictEqual } from 'node:assert/strict';
import fc from 'fast-check';
import t from 'tap';
import type { Checkpoint } from '../../src/core/journal.ts';
import { type Sink, Unacceptable } from '../../src/core/sink.ts';
import { openMemoryJournal } from '../../src/journal/memory-journal.ts';
import { advanceUntil } from '../support/virtual-clock.ts';
import { entryOf, harness, type Harness, memorySetAside, valuesOf } from './harness.ts';

type Step =
  | { readonly kind: 'append'; readonly poisoned: readonly boolean[] }
  | { readonly kind: 'outage'; readonly on: boolean }
  /** The next write is stored, but its answer is lost. */
  | { readonly kind: 'lose-answer' }
  /** The delivery vanishes; a new one goes on from what was durable. */
  | { readonly kind: 'crash' }
  | { readonly kind: 'trim' }
  | { readonly kind: 'time'; readonly ms: number };

const steps: fc.Arbitrary<Step[]> = fc.array(
  fc.oneof(
    {
      weight: 5,
      arbitrary: fc.record({
        kind: fc.constant('append' as const),
        poisoned: fc.array(
          fc.integer({ min: 0, max: 9 }).map((n) => n === 0),
          { maxLength: 6 },
        ),
      }),
    },
    { weight: 2, arbitrary: fc.record({ kind: fc.constant('outage' as const), on: fc.boolean() }) },
    fc.record({ kind: fc.constant('lose-answer' as const) }),
    fc.record({ kind: fc.constant('crash' as const) }),
    fc.record({ kind: fc.constant('trim' as const) }),
    { weight: 4, arbitrary: fc.record({ kind: fc.constant('time' as const), ms: fc.integer({ min: 1, max: 3000 }) }) },
  ),
  { minLength: 1, maxLength: 40 },
);

interface Outcome {
  readonly appended: readonly number[];
  readonly poison: ReadonlySet<number>;
  readonly taken: readonly number[];
  readonly setAside: readonly number[];
  /** What the last delivery was given, and what became of it: promise 3. */
  readonly given: number;
  readonly dealt: number;
}

/** Plays the steps with a sink that keeps its checkpoint itself (exactly once) or leaves that to the delivery. */
async function play(script: readonly Step[], ownCheckpoint: boolean): Promise<Outcome> {
  const journal = openMemoryJournal({ maxBytes: 1e9 });
  const appended: number[] = [];
  const poison = new Set<number>();
  const taken: number[] = [];
  const setAside = new Set<number>();
  let checkpoint: Checkpoint = { journalId: journal.id, sequence: 0, count: 0 };
  let outage = false;
  let loseAnswer = false;
  let life = 0;
  let headAtBirth = 0;
  const trash: (() => Promise<void>)[] = [];

  const revive = async (): Promise<Harness> => {
    life += 1;
    const mine = life;
    headAtBirth = journal.head().count;
    const sink: Sink = {
      name: 'modelled',
      whenFull: 'refuse',
      batching: { maxMetrics: 4, maxDelayMs: 100 },
      ...(ownCheckpoint ? { checkpoint: () => Promise.resolve(checkpoint) } : undefined),
      write: async (batch) => {
        await Promise.resolve();
        // What a dead process does reaches nobody.
        if (mine !== life) return new Promise(() => {});
        if (outage) throw new Error('outage');
        const values = valuesOf(batch);
        const bad = values.find((value) => poison.has(value));
        if (bad !== undefined) throw new Unacceptable(`never takes ${bad}`);
        taken.push(...values);
        if (ownCheckpoint) ({ checkpoint } = batch);
        if (loseAnswer) {
          loseAnswer = false;
          throw new Error('the answer was lost');
        }
      },
    };
    const h = await harness(sink, { journal, position: checkpoint, setAside: memorySetAside() });
    trash.push(h.remove);
    h.delivery.start();
    return h;
  };

  let h = await revive();
  const noteSetAside = async (): Promise<void> => {
    for (const { event } of await h.setAside.list()) setAside.add(event!.value);
  };
  for (const step of script) {
    if (step.kind === 'append') {
      const values = step.poisoned.map((bad) => {
        const value = appended.length;
        appended.push(value);
        if (bad) poison.add(value);
        return value;
      });
      await h.records.append(entryOf(...values));
    } else if (step.kind === 'outage') outage = step.on;
    else if (step.kind === 'lose-answer') loseAnswer = true;
    else if (step.kind === 'time') await h.clock.advance(step.ms);
    else if (step.kind === 'trim') {
      const floor = ownCheckpoint ? checkpoint : (checkpoint = h.delivery.position());
      await journal.trim(floor.sequence);
    } else {
      await noteSetAside();
      h = await revive();
    }
  }
  outage = false;
  loseAnswer = false;
  await advanceUntil(h.clock, () => h.delivery.queued() === 0, 5000);
  await noteSetAside();
  const { delivered, setAside: lost, skipped, recovered } = h.delivery.counts();
  const given = journal.head().count - headAtBirth + recovered;
  await h.delivery.stop();
  await Promise.all(trash.map((remove) => remove()));
  return {
    appended,
    poison,
    taken,
    setAside: [...setAside].toSorted((a, b) => a - b),
    given,
    dealt: delivered + lost + skipped,
  };
}

const good = ({ appended, poison }: Outcome): number[] => appended.filter((value) => !poison.has(value));

t.test('a sink with a checkpoint of its own gets everything once, in order', async (t) => {
  await fc.assert(
    fc.asyncProperty(steps, async (script) => {
      const outcome = await play(script, true);
      deepStrictEqual(outcome.taken, good(outcome));
      deepStrictEqual(outcome.setAside, [...outcome.poison]);
      deepStrictEqual(outcome.dealt, outcome.given);
    }),
    { numRuns: 150 },
  );
  t.pass();
});

t.test('any other sink gets everything at least once, and first in order', async (t) => {
  await fc.assert(
    fc.asyncProperty(steps, async (script) => {
      const outcome = await play(script, false);
      deepStrictEqual([...new Set(outcome.taken)], good(outcome));
      deepStrictEqual(outcome.setAside, [...outcome.poison]);
      deepStrictEqual(outcome.dealt, outcome.given);
    }),
    { numRuns: 150 },
  );
  t.pass();
});
