import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { openCheckpointFiles } from '../../src/core/checkpoint-file.ts';
import { openLineage } from '../../src/core/lineage.ts';
import { seal, unseal } from '../../src/core/sealed-json.ts';
import { openMemoryJournal } from '../../src/journal/memory-journal.ts';
import { folderOf } from '../support/folder.ts';

/** The bytes with each single bit flipped in turn. */
function* flips(bytes: Buffer): Generator<Buffer> {
  for (let bit = 0; bit < bytes.length * 8; bit += 1) {
    const flipped = Buffer.from(bytes);
    flipped[bit >> 3]! ^= 1 << (bit & 7);
    yield flipped;
  }
}

t.test('what was sealed comes back; what was written before there were seals too', (t) => {
  const value = { id: 'a', list: [{ n: 1.5 }], none: null };
  t.same(unseal(seal(value)), value);
  t.same(unseal(JSON.stringify(value)), value);
  t.throws(() => unseal('[1]x'), SyntaxError);
  t.throws(() => unseal('null'), { message: 'no JSON object' });
  t.throws(() => unseal(seal(value).replace('1.5', '1.6')), { message: 'does not match its CRC' });
  t.end();
});

t.test('a checkpoint file with one bit flipped is damaged, or says the same', async (t) => {
  const directory = folderOf(t);
  const checkpoint = { journalId: '0123456789abcdef', sequence: 1234, count: 56_789 };
  const files = await openCheckpointFiles(directory);
  await files.write('sink', checkpoint);
  const path = join(directory, 'sink.json');
  const outcomes = new Set<string>();
  for (const flipped of flips(readFileSync(path))) {
    writeFileSync(path, flipped);
    outcomes.add(JSON.stringify(await files.read('sink')));
  }
  t.same(outcomes, new Set(['"damaged"', JSON.stringify(checkpoint)]));
});

t.test('with one bit flipped in the lineage, a checkpoint of this journal still has its place', async (t) => {
  const directory = folderOf(t);
  const path = join(directory, 'journal-lineage.json');
  const journal = openMemoryJournal();
  const { id } = await openLineage(path, journal, [], () => 'new');
  for (const flipped of flips(readFileSync(path))) {
    writeFileSync(path, flipped);
    const lineage = await openLineage(path, journal, [], () => 'new');
    if (lineage.locate({ journalId: id, sequence: 3, count: 7 })?.count !== 7) t.fail(flipped.toString());
  }
  t.pass('all of them');
});
