/** What every journal owes the gateway: run it against an implementation of your own. */
import t from 'tap';
import type { Journal, JournalEntry, JournalRecord } from '../../src/core/journal.ts';
import { Refusal } from '../../src/core/refusal.ts';

export interface JournalSubject {
  /** A new, empty journal that holds about so many bytes. */
  readonly open: (maxBytes: number) => Promise<Journal>;
}

export const entry = (text: string, metrics = 1): JournalEntry => ({
  envelope: Buffer.from(`{"q":"${text}"}`),
  payload: Buffer.from(text),
  metrics,
});
export const textOf = (record: Pick<JournalRecord, 'payload'>): string => Buffer.from(record.payload).toString();
export const ALL = { maxBytes: Number.POSITIVE_INFINITY, maxMetrics: Number.POSITIVE_INFINITY };

/** Every record, read in steps of the limit. */
export async function readAll(journal: Journal, limit = ALL, after = 0): Promise<JournalRecord[]> {
  const records: JournalRecord[] = [];
  for (;;) {
    const next = await journal.read(records.at(-1)?.sequence ?? after, limit);
    if (next.length === 0) return records;
    records.push(...next);
  }
}

/** Appends until it is refused; the refusal. */
async function fill(journal: Journal, bytes: number): Promise<Refusal> {
  for (;;) {
    try {
      await journal.append({ envelope: Buffer.alloc(10), payload: Buffer.alloc(bytes), metrics: 3 });
    } catch (error) {
      return error as Refusal;
    }
  }
}

export function journalContract(name: string, { open }: JournalSubject): void {
  const MEGABYTE = 1024 * 1024;

  t.test(`${name}: a new journal is empty and says so`, async (t) => {
    const journal = await open(MEGABYTE);
    t.match(journal.id, /^[0-9a-f]{16}$/);
    t.same(journal.head(), { sequence: 0, count: 0 });
    t.same(journal.tail(), { sequence: 0, count: 0 });
    t.match(journal.recovery, { created: true, records: 0, metrics: 0, lostMetrics: 0, damagedBytes: 0 });
    t.same(await journal.read(0, ALL), []);
    t.equal(journal.trouble(), undefined);
    const other = await open(MEGABYTE);
    t.not(journal.id, other.id);
    await Promise.all([journal.close(), other.close()]);
  });

  t.test(`${name}: an entry's bytes are the caller's again once it is appended`, async (t) => {
    const journal = await open(MEGABYTE);
    const { envelope, payload, metrics } = entry('kept');
    await journal.append({ envelope, payload, metrics });
    envelope.fill(0);
    payload.fill(0);
    const [record] = await readAll(journal);
    t.equal(textOf(record!), 'kept');
    t.equal(Buffer.from(record!.envelope).toString(), '{"q":"kept"}');
    await journal.close();
  });

  t.test(`${name}: sequence and count run on, entries of no metrics included`, async (t) => {
    const journal = await open(MEGABYTE);
    const places: number[][] = [];
    for (const metrics of [5, 0, 1, 0, 100]) {
      const { sequence, count } = await journal.append(entry('x', metrics));
      places.push([sequence, count]);
      t.match(journal.head(), { sequence, count });
    }
    t.same(places, [
      [1, 5],
      [2, 5],
      [3, 6],
      [4, 6],
      [5, 106],
    ]);
    await journal.close();
  });

  t.test(`${name}: concurrent appends keep the order of their calls`, async (t) => {
    const journal = await open(8 * MEGABYTE);
    const texts = Array.from({ length: 2000 }, (_, index) => `batch ${index}`);
    const appended = await Promise.all(texts.map((text) => journal.append(entry(text, 2))));
    t.same(
      appended.map(({ sequence }) => sequence),
      texts.map((_, index) => index + 1),
    );
    t.same((await readAll(journal)).map(textOf), texts);
    await journal.close();
  });

  t.test(`${name}: what is read is what was appended, whatever its size`, async (t) => {
    const journal = await open(64 * MEGABYTE);
    const sizes = [0, 1, 47, 4095, 4096, 4097, 65_536, 262_144, 1_048_576, 5_000_000, 3];
    const entries = sizes.map((size, index) => ({
      envelope: Buffer.alloc(sizes.at(-1 - index)! % 100_000, index + 1),
      payload: Buffer.alloc(size, 200 - index),
      metrics: index,
    }));
    await Promise.all(entries.map((one) => journal.append(one)));
    for (const limit of [ALL, { maxBytes: 100_000, maxMetrics: 1e9 }, { maxBytes: 1, maxMetrics: 1 }]) {
      const records = await readAll(journal, limit);
      t.equal(records.length, entries.length);
      for (const [index, { envelope, payload, metrics }] of records.entries()) {
        t.ok(Buffer.compare(envelope, entries[index]!.envelope) === 0, `envelope ${index}`);
        t.ok(Buffer.compare(payload, entries[index]!.payload) === 0, `payload ${index}`);
        t.equal(metrics, index);
      }
    }
    await journal.close();
  });

  t.test(`${name}: a read keeps to its limits, and gives one record at least`, async (t) => {
    const journal = await open(MEGABYTE);
    for (let index = 0; index < 20; index += 1) await journal.append(entry('0123456789', 10));
    const size = entry('0123456789').envelope.length + 10;
    t.equal((await journal.read(0, { maxBytes: 5 * size, maxMetrics: 1000 })).length, 5);
    t.equal((await journal.read(0, { maxBytes: 1e6, maxMetrics: 49 })).length, 4);
    t.equal((await journal.read(0, { maxBytes: 1e6, maxMetrics: 50 })).length, 5);
    t.equal((await journal.read(0, { maxBytes: 1, maxMetrics: 1 })).length, 1);
    t.same(
      (await journal.read(17, ALL)).map(({ sequence }) => sequence),
      [18, 19, 20],
    );
    t.same(await journal.read(20, ALL), []);
    t.same(await journal.read(99, ALL), []);
    await journal.close();
  });

  t.test(
    `${name}: a full journal refuses with 503 and Retry-After, and takes entries again once trimmed`,
    async (t) => {
      const journal = await open(MEGABYTE);
      const refusal = await fill(journal, 10_000);
      t.ok(refusal instanceof Refusal);
      t.equal(refusal.status, 503);
      t.ok(refusal.options.retryAfterSeconds! > 0);
      const head = journal.head();
      t.ok(journal.size().bytes <= journal.size().maxBytes);
      t.ok(journal.size().bytes > 0.9 * journal.size().maxBytes, 'most of it is used');
      await t.rejects(journal.append(entry('x'.repeat(20_000))), { code: 'overloaded' });
      t.same(journal.head(), head, 'nothing of what was refused remains');
      t.equal(journal.trouble(), undefined, 'full is no trouble of the disk');

      await journal.trim(head.sequence);
      t.ok(journal.size().bytes < 0.5 * journal.size().maxBytes);
      const next = await journal.append(entry('again', 7));
      t.match(next, { sequence: head.sequence + 1, count: head.count + 7 });
      t.same((await readAll(journal, ALL, head.sequence)).map(textOf), ['again']);
      await journal.close();
    },
  );

  t.test(`${name}: many appends at once never pass the limit`, async (t) => {
    const journal = await open(MEGABYTE);
    const results = await Promise.allSettled(
      Array.from({ length: 300 }, () => journal.append(entry('x'.repeat(10_000)))),
    );
    const accepted = results.filter(({ status }) => status === 'fulfilled').length;
    // The entry holds its text twice.
    t.ok(accepted > 45 && accepted < 55, `${accepted} were accepted`);
    t.equal(journal.head().sequence, accepted);
    t.ok(journal.size().bytes <= journal.size().maxBytes);
    await journal.trim(journal.head().sequence);
    await journal.append(entry('again'));
    await journal.close();
  });

  t.test(`${name}: a batch that can never fit is too large, not overloaded`, async (t) => {
    const journal = await open(MEGABYTE);
    await t.rejects(journal.append(entry('x'.repeat(MEGABYTE))), { code: 'too_large' });
    await journal.append(entry('x'));
    await journal.close();
  });

  t.test(`${name}: trimming keeps everything behind the position`, async (t) => {
    const journal = await open(MEGABYTE);
    for (let index = 1; index <= 100; index += 1) await journal.append(entry(`${index}`.padEnd(4000), 2));
    await journal.trim(60);
    const tail = journal.tail();
    t.ok(tail.sequence > 0 && tail.sequence <= 60);
    t.equal(tail.count, 2 * tail.sequence);
    t.same(
      (await readAll(journal, ALL, 60)).map((record) => textOf(record).trim()),
      Array.from({ length: 40 }, (_, index) => `${index + 61}`),
    );
    const [oldest] = await journal.read(0, ALL);
    t.equal(oldest?.sequence, tail.sequence + 1, 'a reader from before the tail begins at the tail');
    await journal.trim(10);
    t.same(journal.tail(), tail, 'trimming less than before changes nothing');
    await journal.close();
  });

  t.test(`${name}: reading goes on while entries are appended and trimmed`, async (t) => {
    const journal = await open(MEGABYTE);
    const seen: number[] = [];
    let appending = true;
    const append = async (): Promise<void> => {
      for (let index = 0; index < 500; index += 1) {
        try {
          await journal.append(entry('x'.repeat(5000)));
        } catch (error) {
          if ((error as Refusal).code !== 'overloaded') throw error;
          await new Promise((resolve) => setImmediate(resolve));
        }
      }
      appending = false;
    };
    const read = async (): Promise<void> => {
      while (appending || (seen.at(-1) ?? 0) < journal.head().sequence) {
        for (const record of await journal.read(seen.at(-1) ?? 0, { maxBytes: 20_000, maxMetrics: 100 })) {
          seen.push(record.sequence);
        }
        await journal.trim(seen.at(-1) ?? 0);
        await new Promise((resolve) => setImmediate(resolve));
      }
    };
    await Promise.all([append(), read()]);
    t.ok(seen.length > 150, `${seen.length} were read`);
    t.same(
      seen,
      seen.map((_, index) => index + 1),
      'each once and in order',
    );
    await journal.close();
  });

  t.test(`${name}: closing waits for appends under way and refuses later ones`, async (t) => {
    const journal = await open(MEGABYTE);
    const appends = Array.from({ length: 50 }, (_, index) => journal.append(entry(`${index}`)));
    const closed = journal.close();
    await t.rejects(journal.append(entry('late')), { code: 'overloaded' });
    t.equal((await Promise.all(appends)).length, 50);
    await closed;
    t.equal(journal.head().sequence, 50);
  });
}
