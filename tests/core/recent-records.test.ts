/** The newest records in memory: their bytes are the caller's no longer, and stay as they are for as long as they are lent. */
import t from 'tap';
import type { Journal, JournalEntry } from '../../src/core/journal.ts';
import { createRecentRecords, type Loan } from '../../src/core/recent-records.ts';
import { Refusal } from '../../src/core/refusal.ts';
import { openMemoryJournal } from '../../src/journal/memory-journal.ts';
import { collected } from '../support/collected.ts';
import { virtualClock } from '../support/virtual-clock.ts';

const HALF_A_SLAB = 500_000;
const START = { sequence: 0, count: 0 };

const filled = (byte: number, length = HALF_A_SLAB): JournalEntry => ({
  envelope: Buffer.from(`${byte}`),
  payload: Buffer.alloc(length, byte),
  metrics: 1,
});
const isFilled = ({ records }: Loan, at: number, byte: number): boolean =>
  records[at]!.payload.every((each) => each === byte);
/** Where a record's bytes lie. */
const memoryOf = ({ records }: Loan, at: number): ArrayBufferLike => records[at]!.payload.buffer;

/** A journal that gives back the entry's own bytes, as the one on disk does. */
function likeDisk(): Journal {
  const journal = openMemoryJournal({ maxBytes: 1e9 });
  return {
    ...journal,
    append: async (entry) => {
      const { sequence, count } = await journal.append(entry);
      return { ...entry, sequence, count };
    },
  };
}

const open = (journal: Journal = likeDisk(), maxBytes = 1e9) => createRecentRecords(journal, virtualClock(), maxBytes);

t.test('an entry is copied: its sender may write over it', async (t) => {
  const records = open();
  const entry = filled(7);
  await records.append(entry);
  entry.payload.fill(0);
  t.ok(isFilled(await records.read(START, 10), 0, 7));
});

t.test('memory is used again once its records are released and given back', async (t) => {
  const records = open();
  await records.append(filled(1));
  await records.append(filled(2));
  const loan = await records.read(START, 10);
  const memory = memoryOf(loan, 0);
  t.equal(memoryOf(loan, 1), memory, 'two halves share a slab');
  await records.append(filled(3));
  await records.append(filled(4));
  loan.giveBack();
  records.release(2);
  await records.append(filled(5));
  const next = await records.read({ sequence: 4, count: 4 }, 10);
  t.equal(memoryOf(next, 0), memory);
  t.ok(isFilled(next, 0, 5));
});

t.test('what is lent stays as it is, though it is released or had to go', async (t) => {
  for (const [name, maxBytes] of [
    ['released', 1e9],
    ['no room', 1_100_000],
  ] as const) {
    const records = open(undefined, maxBytes);
    await records.append(filled(1));
    const loan = await records.read(START, 10);
    for (let byte = 2; byte < 40; byte += 1) {
      await records.append(filled(byte));
      if (name === 'released') records.release(byte);
    }
    t.ok(isFilled(loan, 0, 1), name);
  }
});

t.test('a slab that two have borrowed is not used again before both gave it back', async (t) => {
  const records = open();
  await records.append(filled(1));
  const [one, other] = [await records.read(START, 10), await records.read(START, 10)];
  records.release(1);
  one.giveBack();
  for (let byte = 2; byte < 8; byte += 1) await records.append(filled(byte));
  t.ok(isFilled(other, 0, 1));
});

t.test('an entry larger than a slab has memory of its own', async (t) => {
  const records = open();
  await records.append(filled(1, 3_000_000));
  await records.append(filled(2));
  const loan = await records.read(START, 10);
  t.ok(isFilled(loan, 0, 1) && isFilled(loan, 1, 2));
  loan.giveBack();
  records.release(2);
  t.equal(records.bytes(), 0);
});

t.test('nothing holds large entries once they are released', async (t) => {
  const records = open();
  const append = async (byte: number): Promise<WeakRef<object>> => {
    const entry = filled(byte, 1_200_000);
    await records.append(entry);
    return new WeakRef(entry.payload);
  };
  const payloads = [await append(1), await append(2), await append(3)];
  records.release(3);
  await t.resolves(collected(payloads));
  t.equal(records.bytes(), 0);
});

t.test('what the journal refuses takes no memory', async (t) => {
  const journal = likeDisk();
  let refusing = false;
  const records = open({
    ...journal,
    append: (entry) => (refusing ? Promise.reject(new Refusal('overloaded', 'full')) : journal.append(entry)),
  });
  await records.append(filled(1));
  const before = memoryOf(await records.read(START, 10), 0);
  records.release(1);
  refusing = true;
  // Its loan was not given back, so nothing goes there; the refused ones share one slab in turn.
  for (let byte = 2; byte < 20; byte += 1) await t.rejects(records.append(filled(byte)), { code: 'overloaded' });
  refusing = false;
  await records.append(filled(20));
  const loan = await records.read({ sequence: 1, count: 1 }, 10);
  t.not(memoryOf(loan, 0), before);
  t.equal(loan.records[0]!.sequence, 2);
  t.ok(isFilled(loan, 0, 20));
});
