import { readdir, readFile, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import fc from 'fast-check';
import t from 'tap';
import { readSnapshots, writeSnapshot } from '../../src/core/snapshot-file.ts';
import { folderOf } from '../support/folder.ts';

const texts = async (directory: string, name: string) =>
  (await readSnapshots(directory, name)).snapshots.map(({ bytes }) => Buffer.from(bytes).toString());

t.test('nothing is found where nothing was written', async (t) => {
  t.same(await readSnapshots(join(folderOf(t), 'absent'), 'totals'), { snapshots: [], damaged: [] });
});

t.test('the newest two are kept, newest first', async (t) => {
  const directory = join(folderOf(t), 'snapshots');
  for (const text of ['one', 'two', 'three']) await writeSnapshot(directory, 'totals', Buffer.from(text));
  t.same(await texts(directory, 'totals'), ['three', 'two']);
  t.equal((await readdir(directory)).length, 2);
});

t.test('names do not meet, even where one is the beginning of the other', async (t) => {
  const directory = folderOf(t);
  await writeSnapshot(directory, 'a', Buffer.from('short'));
  await writeSnapshot(directory, 'a-b', [Buffer.from('in '), Buffer.from('parts')]);
  t.same(await texts(directory, 'a'), ['short']);
  t.same(await texts(directory, 'a-b'), ['in parts']);
});

t.test('an empty snapshot is a snapshot', async (t) => {
  const directory = folderOf(t);
  await writeSnapshot(directory, 'empty', new Uint8Array());
  t.same(await texts(directory, 'empty'), ['']);
});

t.test('a damaged current one falls back to the one before, which the next write keeps', async (t) => {
  const directory = folderOf(t);
  await writeSnapshot(directory, 'totals', Buffer.from('one'));
  const generation = await writeSnapshot(directory, 'totals', Buffer.from('two'));
  const current = join(directory, `totals-000000000${generation}.snapshot`);
  await truncate(current, 25);
  const found = await readSnapshots(directory, 'totals');
  t.equal(found.damaged[0]?.path, current);
  t.match(found.damaged[0]?.problem, /holds 1 bytes where its header says 3/);
  t.same(await texts(directory, 'totals'), ['one']);
  await writeSnapshot(directory, 'totals', Buffer.from('three'));
  t.same(await texts(directory, 'totals'), ['three', 'one']);
});

t.test('a write cut short leaves the ones before it', async (t) => {
  const directory = folderOf(t, { 'totals.snapshot.tmp': 'half a snap' });
  await writeSnapshot(directory, 'totals', Buffer.from('one'));
  t.same(await texts(directory, 'totals'), ['one']);
});

t.test('any changed byte and any cut is found', async (t) => {
  const directory = folderOf(t);
  const generation = await writeSnapshot(directory, 'totals', Buffer.from('what the totals were'));
  const path = join(directory, `totals-000000000${generation}.snapshot`);
  const whole = await readFile(path);
  await fc.assert(
    fc.asyncProperty(
      fc.nat(whole.length - 1),
      fc.integer({ min: 1, max: 255 }),
      fc.boolean(),
      async (at, flip, cut) => {
        const bytes = Buffer.from(cut ? whole.subarray(0, at) : whole);
        if (!cut) bytes[at]! ^= flip;
        await writeFile(path, bytes);
        const found = await readSnapshots(directory, 'totals');
        t.equal(found.snapshots.length, 0);
        t.equal(found.damaged.length, 1);
      },
    ),
    { numRuns: 100 },
  );
});
