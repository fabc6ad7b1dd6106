/** A metric is in the database once, however often its batch comes, and the checkpoint never says otherwise. */
import { join } from 'node:path';
import Database from 'better-sqlite3';
import fc from 'fast-check';
import t, { type Test } from 'tap';
import type { JsonBody } from '../../../src/core/json-events.ts';
import type { DeliveredRecord } from '../../../src/core/sink.ts';
import { openStore } from '../../../src/sinks/sqlite/store.ts';
import { JOURNAL_ID, memoryLog, query, recorder } from './harness.ts';
import { folderOf } from '../../support/folder.ts';

const open = async (t: Test) => {
  const path = join(folderOf(t), 'metrics.db');
  const store = await openStore(path, { log: memoryLog() });
  t.teardown(() => store.close());
  const values = (): number[] =>
    query<{ value: number }>(path, 'SELECT value FROM metrics ORDER BY id').map((row) => row.value);
  const rolledUp = (): number =>
    query<{ n: number | null }>(path, 'SELECT sum(count) AS n FROM metrics_hourly')[0]?.n ?? 0;
  return { path, store, values, rolledUp };
};

/** A body whose metrics carry the numbers from `first` on as values. */
const body = (first: number, metrics: number): JsonBody => ({
  service: 's',
  metrics: Array.from({ length: metrics }, (_, at) => ({
    type: 'custom',
    value: first + at,
    dimensions: { metric_name: 'm' },
  })),
});
const numbers = (n: number): number[] => Array.from({ length: n }, (_, at) => at + 1);

t.test('the same batch again changes nothing', async (t) => {
  const { store, values, rolledUp } = await open(t);
  const { record, end } = recorder();
  const records = [record(body(1, 3)), record(body(4, 2))];
  await store.write(records, end());
  await store.write(records, end());
  t.strictSame(values(), numbers(5));
  t.equal(rolledUp(), 5);
  t.strictSame(await store.checkpoint(), { journalId: JOURNAL_ID, sequence: 2, count: 5 });
});

t.test('a batch whose beginning is written adds only its end', async (t) => {
  const { store, values, rolledUp } = await open(t);
  const { record, end } = recorder();
  const first = record(body(1, 4));
  await store.write([{ ...first, to: 2 }], { journalId: JOURNAL_ID, sequence: 0, count: 2 });
  t.strictSame(values(), [1, 2]);
  await store.write([first, record(body(5, 1))], end());
  t.strictSame(values(), numbers(5));
  t.equal(rolledUp(), 5);
});

t.test('what was set aside in front of a batch is left out', async (t) => {
  const { store, values } = await open(t);
  const { record, end } = recorder();
  const first = record(body(1, 4));
  await store.write([{ ...first, from: 1, to: 2 }], { journalId: JOURNAL_ID, sequence: 0, count: 2 });
  await store.write([{ ...first, from: 3 }], end());
  t.strictSame(values(), [2, 4]);
});

t.test('a new journal begins to count anew', async (t) => {
  const { store, values } = await open(t);
  const old = recorder();
  await store.write([old.record(body(1, 3))], old.end());
  const fresh = recorder();
  await store.write([fresh.record(body(4, 2))], { ...fresh.end(), journalId: 'journal-2' });
  t.strictSame(values(), numbers(5));
  t.strictSame(await store.checkpoint(), { journalId: 'journal-2', sequence: 1, count: 2 });
});

t.test('a record that cannot be decoded is unacceptable, and nothing of its batch is kept', async (t) => {
  const { store, values, rolledUp } = await open(t);
  const { record, end } = recorder();
  const good = record(body(1, 2));
  const bad = { ...record(body(3, 1)), payload: new TextEncoder().encode('{"service":') };
  await t.rejects(store.write([good, bad], end()), { name: 'Unacceptable', message: /record 2/ });
  t.strictSame(values(), []);
  t.equal(rolledUp(), 0);
  t.equal(await store.checkpoint(), undefined);
  await store.write([good], { journalId: JOURNAL_ID, sequence: 1, count: 2 });
  t.strictSame(values(), [1, 2]);
  t.equal(rolledUp(), 2);
});

t.test('any order of repeated, cut and failing writes ends with each metric once', async (t) => {
  const path = join(folderOf(t), 'metrics.db');
  const store = await openStore(path, { log: memoryLog() });
  t.teardown(() => store.close());
  let journal = 0;
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.integer({ min: 1, max: 4 }), { minLength: 1, maxLength: 8 }),
      fc.array(fc.record({ back: fc.nat(5), take: fc.integer({ min: 1, max: 6 }), poison: fc.boolean() }), {
        maxLength: 12,
      }),
      async (sizes, attempts) => {
        journal += 1;
        const journalId = `journal-${journal}`;
        const { record } = recorder();
        let first = 1;
        const records = sizes.map((size) => {
          const made = record(body(first, size), { keyService: journalId });
          first += size;
          return made;
        });
        const total = first - 1;
        /** A delivery's view: it knows some position at or before what the database holds. */
        let done = 0;
        const send = async (from: number, to: number, poison: boolean): Promise<void> => {
          const part: DeliveredRecord[] = [];
          for (const each of records) {
            const start = each.count - each.metrics;
            const begin = Math.max(from - start, 0);
            const end = Math.min(to - start, each.metrics);
            if (begin < end) part.push({ ...each, from: begin, to: end });
          }
          const last = records.findLast((each) => each.count <= to);
          const checkpoint = { journalId, sequence: last?.sequence ?? 0, count: to };
          const spoilt = poison
            ? part.map((each, at) => (at === part.length - 1 ? { ...each, envelope: new Uint8Array(3) } : each))
            : part;
          await store.write(spoilt, checkpoint).catch(() => undefined);
          done = (await store.checkpoint())?.journalId === journalId ? (await store.checkpoint())!.count : 0;
        };
        for (const { back, take, poison } of attempts) {
          const from = Math.max(0, done - back);
          await send(from, Math.min(total, from + take), poison);
        }
        await send(Math.max(0, done - 1), total, false);
        const rows = query<{ value: number }>(
          path,
          'SELECT value FROM metrics WHERE key_service = ? ORDER BY id',
          journalId,
        );
        t.strictSame(
          rows.map((row) => row.value),
          numbers(total),
        );
        if (!t.passing()) throw new Error(JSON.stringify({ sizes, attempts }));
      },
    ),
    { numRuns: 40 },
  );
  const counts = query<{ n: number }>(
    path,
    'SELECT (SELECT count(*) FROM events) - (SELECT sum(count) FROM event_counts) AS n',
  );
  t.strictSame(counts, [{ n: 0 }]);
  const rollups = query<{ n: number }>(
    path,
    'SELECT (SELECT count(*) FROM events) - (SELECT sum(count) FROM metrics_daily) AS n',
  );
  t.strictSame(rollups, [{ n: 0 }]);
});

t.test('dictionary rows removed by another process are made anew', async (t) => {
  const { store, path } = await open(t);
  const { record, end } = recorder();
  await store.write([record(body(1, 1))], end());
  const other = new Database(path);
  t.teardown(() => other.close());
  other.transaction(() => {
    other.exec('DELETE FROM events; DELETE FROM attribute_sets; DELETE FROM resources; DELETE FROM shapes');
    other.exec('UPDATE writer_state SET dictionary_generation = dictionary_generation + 1');
  })();
  await store.write([record(body(2, 1))], end());
  t.match(query(path, 'SELECT service, dimensions FROM metrics'), [
    { service: 's', dimensions: '{"metric_name":"m"}' },
  ]);
});

t.test('an event that was left out once is taken late, and the checkpoint stays', async (t) => {
  const { store, values, rolledUp } = await open(t);
  const { record, end } = recorder();
  const first = record(body(1, 3));
  await store.write([{ ...first, from: 1 }], end());
  await store.write([{ ...first, to: 1 }], end());
  t.strictSame(values(), [2, 3], 'without being called late it counts as written');
  await store.write([{ ...first, to: 1 }], { journalId: JOURNAL_ID, sequence: 9, count: 99 }, true);
  t.strictSame(values(), [2, 3, 1]);
  t.equal(rolledUp(), 3);
  t.strictSame(await store.checkpoint(), end());
});
