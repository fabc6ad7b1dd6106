/**
 * The segmented log against a model of its promises, on a disk that fails and loses power: whatever happens, what was
 * acknowledged is read back, in its place and once; what was not is read at most once, and never after something newer.
 */
import fc from 'fast-check';
import t from 'tap';
import type { Journal, JournalRecord } from '../../src/core/journal.ts';
import { Refusal } from '../../src/core/refusal.ts';
import { openSegmentedLog } from '../../src/journal/segmented-log.ts';
import { silentLog } from '../support/silent-log.ts';
import { settle, virtualClock } from '../support/virtual-clock.ts';
import { readAll, textOf } from './contract.ts';
import { type SimulatedDisk, simulatedDisk, type WriteFault } from './simulated-disk.ts';

type Command =
  | { readonly do: 'append'; readonly sizes: readonly number[] }
  | { readonly do: 'fault'; readonly fault: WriteFault }
  | { readonly do: 'full' }
  | { readonly do: 'heal' }
  | { readonly do: 'trim'; readonly share: number }
  | { readonly do: 'crash'; readonly power: boolean; readonly coins: readonly boolean[] };

const share = fc.double({ min: 0, max: 1, noNaN: true });
const fault: fc.Arbitrary<WriteFault> = fc.record({
  kind: fc.constantFrom('ENOSPC', 'EIO', 'EROFS', 'short', 'power'),
  share,
  noRepair: fc.boolean(),
});
const append = fc.record({
  do: fc.constant('append' as const),
  sizes: fc.array(fc.oneof(fc.nat(200), fc.nat(6000)), { minLength: 1, maxLength: 8 }),
});
const crash = fc.record({
  do: fc.constant('crash' as const),
  power: fc.boolean(),
  coins: fc.array(fc.boolean(), { minLength: 1, maxLength: 20 }),
});
const heal = fc.constant({ do: 'heal' as const });
const armed = fc.record({ do: fc.constant('fault' as const), fault });
/** What leaves the most behind: a write that fails half-way, and what comes after it. */
const incident = fc
  .tuple(armed, append, fc.constantFrom(true, false), append, fc.option(crash))
  .map(([first, second, healed, third, last]): Command[] => [
    first,
    second,
    ...(healed ? [{ do: 'heal' } as const] : []),
    third,
    ...(last === null ? [] : [last]),
  ]);
const commands: fc.Arbitrary<Command[]> = fc
  .array(
    fc.oneof(
      { weight: 5, arbitrary: incident },
      { weight: 5, arbitrary: append.map((one): Command[] => [one]) },
      { weight: 1, arbitrary: fc.constant<Command[]>([{ do: 'full' }]) },
      { weight: 2, arbitrary: heal.map((one): Command[] => [one]) },
      { weight: 2, arbitrary: share.map((share): Command[] => [{ do: 'trim', share }]) },
      { weight: 1, arbitrary: crash.map((one): Command[] => [one]) },
    ),
    { maxLength: 15, size: 'max' },
  )
  .map((parts) => parts.flat());

interface Known {
  readonly text: string;
  readonly count: number;
  readonly metrics: number;
}

class Subject {
  disk: SimulatedDisk = simulatedDisk();
  journal!: Journal;
  readonly clock = virtualClock();
  /** By sequence: acknowledged, or found after a crash. */
  readonly known = new Map<number, Known>();
  /** Refused since the last success: may be found after a crash, once. */
  readonly doubtful = new Map<string, number>();
  /** Refused before something newer was acknowledged: must never be found. */
  readonly dead = new Set<string>();
  /** Sequences before which a hole was found. */
  readonly gaps = new Set<number>();
  trimmed = 0;
  appends = 0;

  async open(): Promise<void> {
    this.journal = await openSegmentedLog({
      directory: '/journal',
      clock: this.clock,
      log: silentLog,
      files: this.disk.files,
      maxBytes: 200_000,
      segmentBytes: 5000,
    });
    const { lostMetrics, records, metrics } = this.journal.recovery;
    const found = await readAll(this.journal);
    check(found.length === records, 'recovery counts the records that can be read');
    check(found.reduce((sum, record) => sum + record.metrics, 0) === metrics, 'and their metrics');
    check(lostMetrics === this.findGaps(found), 'and exactly what is missing between them');
    for (const record of found) {
      const text = textOf(record);
      if (this.known.has(record.sequence)) continue;
      check(this.doubtful.delete(text), `record ${record.sequence} was never appended, or is found twice`);
      this.known.set(record.sequence, { text, count: record.count, metrics: record.metrics });
    }
    await this.verify(found);
  }

  /** A write torn by a power cut may leave a hole; it stays, and may hold only what was never acknowledged. */
  findGaps(found: readonly JournalRecord[]): number {
    let doubtful = [...this.doubtful.values()].reduce((sum, metrics) => sum + metrics, 0);
    let before = this.journal.tail().count;
    let lost = 0;
    for (const { sequence, count, metrics } of found) {
      const missing = count - metrics - before;
      if (missing > 0 && !this.gaps.has(sequence)) {
        doubtful -= missing;
        check(doubtful >= 0, `${missing} metrics before ${sequence} are lost that were acknowledged`);
        this.gaps.add(sequence);
      }
      lost += missing;
      before = count;
    }
    return lost + this.journal.head().count - before;
  }

  async run(command: Command): Promise<void> {
    switch (command.do) {
      case 'append':
        return this.append(command.sizes);
      case 'fault':
        this.disk.fault = command.fault;
        return;
      case 'full':
        this.disk.full = true;
        return;
      case 'heal':
        return this.heal();
      case 'trim': {
        const { sequence } = this.journal.head();
        const through = Math.floor(sequence * command.share);
        await this.journal.trim(through);
        this.trimmed = Math.max(this.trimmed, through);
        return this.verify(await readAll(this.journal));
      }
      case 'crash':
        return this.crash(command.power, command.coins);
    }
  }

  async append(sizes: readonly number[]): Promise<void> {
    const before = this.journal.head();
    const power = this.disk.fault?.kind === 'power';
    const entries = sizes.map((size) => {
      this.appends += 1;
      return { text: `${this.appends}:`.padEnd(size, 'x'), metrics: this.appends % 4 };
    });
    const results = await Promise.allSettled(
      entries.map(({ text, metrics }) =>
        this.journal.append({ envelope: Buffer.from('envelope'), payload: Buffer.from(text), metrics }),
      ),
    );
    let { sequence, count } = before;
    for (const [index, result] of results.entries()) {
      const { text, metrics } = entries[index]!;
      if (result.status === 'rejected') {
        check(
          result.reason instanceof Refusal && result.reason.status === 503,
          `refused with ${String(result.reason)}`,
        );
        this.doubtful.set(text, metrics);
        continue;
      }
      sequence += 1;
      count += metrics;
      check(result.value.sequence === sequence && result.value.count === count, 'places follow each other');
      check(!this.known.has(sequence), `sequence ${sequence} is given out twice`);
      this.known.set(sequence, { text, count, metrics });
    }
    if (results.at(-1)!.status === 'fulfilled') this.bury(entries.map(({ text }) => text));
    if (power && this.disk.fault === undefined) {
      await this.crash(true, [true, false, false, true, true, false, true]);
      return;
    }
    const head = this.journal.head();
    check(head.sequence === sequence && head.count === count, 'the head is what was acknowledged');
    await this.verify(await readAll(this.journal));
  }

  /** @param last the texts of the last call: those of them that were refused may still lie behind what was written */
  bury(last: readonly string[]): void {
    for (const text of this.doubtful.keys()) {
      if (last.includes(text)) continue;
      this.doubtful.delete(text);
      this.dead.add(text);
    }
  }

  async heal(): Promise<void> {
    this.disk.fault = undefined;
    this.disk.full = false;
    this.disk.noRepair = false;
    await this.clock.advance(1000);
    check(this.journal.trouble() === undefined, `healed by itself: ${this.journal.trouble()}`);
  }

  async crash(power: boolean, coins: readonly boolean[]): Promise<void> {
    let tossed = 0;
    this.disk = this.disk.restart(() => coins[tossed++ % coins.length]!, power);
    await settle(1);
    await this.open();
  }

  async verify(found: readonly JournalRecord[]): Promise<void> {
    const tail = this.journal.tail().sequence;
    check(tail <= this.trimmed, 'nothing beyond the trimmed position is gone');
    const expected = [...this.known.keys()].filter((sequence) => sequence > tail).toSorted((a, b) => a - b);
    check(
      found.map(({ sequence }) => sequence).join() === expected.join(),
      `read ${found.map(({ sequence }) => sequence).join()}, expected ${expected.join()}`,
    );
    for (const record of found) {
      const { text, count, metrics } = this.known.get(record.sequence)!;
      check(textOf(record) === text, `the text of ${record.sequence}`);
      check(record.count === count && record.metrics === metrics, `the place of ${record.sequence}`);
      check(!this.dead.has(text), `${text} was refused`);
    }
    const middle = expected[Math.floor(expected.length / 2)];
    if (middle !== undefined) {
      const rest = await this.journal.read(middle, { maxBytes: 1, maxMetrics: 1 });
      check(rest[0]?.sequence === expected[Math.floor(expected.length / 2) + 1], 'a reader goes on in the middle');
    }
  }
}

function check(condition: boolean, message: string): void {
  if (!condition) throw new Error(message);
}

t.test('any order of appends, faults, trims, kills and power cuts keeps the promises', async () => {
  await fc.assert(
    fc.asyncProperty(commands, async (commands) => {
      const subject = new Subject();
      await subject.open();
      for (const one of commands) await subject.run(one);
      await subject.heal();
      await subject.append([10]);
      await subject.crash(true, [false]);
    }),
    { numRuns: Number(process.env['MODEL_RUNS'] ?? 120), interruptAfterTimeLimit: 25_000 },
  );
});
