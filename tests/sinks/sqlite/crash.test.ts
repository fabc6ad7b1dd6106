/** Threads that die and logs that are damaged: calls fail loudly, and what is readable is whole. */
import { copyFileSync, existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import t from 'tap';
import { openForWriting } from '../../../src/sinks/sqlite/database.ts';
import { openKeyStore } from '../../../src/sinks/sqlite/key-store.ts';
import { openStore } from '../../../src/sinks/sqlite/store.ts';
import { startWorker } from '../../../src/sinks/sqlite/worker-client.ts';
import type { methods } from './crashing-worker.ts';
import { memoryLog, query, recordedBodies, recorder, settableClock } from './harness.ts';
import { folderOf } from '../../support/folder.ts';

t.test('a thread that dies fails its calls; the next call finds a new one', async (t) => {
  const client = await startWorker<typeof methods>({
    script: new URL('crashing-worker.ts', import.meta.url),
    data: {},
    onMessage: () => undefined,
    onCrash: () => undefined,
  });
  t.teardown(() => client.close());
  await t.rejects(client.call('work', ['again']), /has ended/);
  t.equal(await client.call('work', ['again']), 'AGAIN');
  await client.close();
  await t.rejects(client.call('work', ['again']), /closed/);
});

t.test(
  'whatever becomes of the write-ahead log, the database opens with whole transactions and their checkpoint',
  async (t) => {
    const directory = folderOf(t);
    const path = join(directory, 'metrics.db');
    const keys = await openKeyStore({ path, log: memoryLog(), clock: settableClock(0) });
    const { record: key } = await keys.create({ service: 's', scopes: ['ingest'] });
    const store = await openStore(path, { log: memoryLog() });
    const { record, end } = recorder();
    const bodies = recordedBodies();
    for (let at = 0; at < 30; at += 1) {
      await store.write(
        bodies.slice(at * 5, at * 5 + 5).map((body) => record(body)),
        end(),
      );
    }
    const total = end().count;
    for (const suffix of ['', '-wal']) copyFileSync(path + suffix, join(directory, `saved${suffix}`));
    await store.close();
    await keys.close();
    const saved = readFileSync(join(directory, 'saved-wal'));
    const copy = join(directory, 'copy.db');
    const seen = new Set<number>();
    fc.assert(
      fc.property(
        fc.array(fc.record({ at: fc.nat(saved.length - 1), xor: fc.integer({ min: 1, max: 255 }) }), { maxLength: 3 }),
        fc.option(fc.nat(saved.length), { freq: 3 }),
        (flips, cut) => {
          copyFileSync(join(directory, 'saved'), copy);
          const wal = Buffer.from(cut === null ? saved : saved.subarray(0, cut));
          for (const { at, xor } of flips) if (at < wal.length) wal[at]! ^= xor;
          writeFileSync(`${copy}-wal`, wal);
          const { db } = openForWriting(copy);
          const count = db.prepare<[], number>('SELECT count FROM writer_state').pluck().get();
          const rows = db.prepare<[], number>('SELECT count(*) FROM events').pluck().get() ?? 0;
          const rolled = db.prepare<[], number>('SELECT coalesce(sum(count), 0) FROM rollup_hourly').pluck().get();
          const integrity = db.pragma('integrity_check', { simple: true });
          const known = db.prepare('SELECT id FROM api_keys').pluck().all();
          db.close();
          if (integrity !== 'ok') throw new Error(String(integrity));
          if (rows !== count || rolled !== rows) throw new Error(`${rows} rows, ${count} noted, ${rolled} rolled up`);
          if (known[0] !== key.id) throw new Error('the key is gone');
          seen.add(rows);
        },
      ),
      { numRuns: 60, endOnFailure: true },
    );
    t.ok(seen.size > 3, `${seen.size} different ends were seen`);
    t.ok(Math.max(...seen) <= total);
    t.notOk(existsSync(`${copy}-wal`));
    t.strictSame(query(copy, 'PRAGMA integrity_check'), [{ integrity_check: 'ok' }]);
  },
);
