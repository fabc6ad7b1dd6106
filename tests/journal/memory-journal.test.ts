import t from 'tap';
import { openMemoryJournal } from '../../src/journal/memory-journal.ts';
import { collected } from '../support/collected.ts';
import { entry, journalContract } from './contract.ts';

journalContract('memory', { open: (maxBytes) => Promise.resolve(openMemoryJournal({ maxBytes })) });

t.test('a memory journal holds nothing that was trimmed', async (t) => {
  const journal = openMemoryJournal();
  const append = async (text: string): Promise<WeakRef<object>> =>
    new WeakRef((await journal.append(entry(text, 1))).payload);
  const payloads = [await append('a'), await append('b'), await append('c')];
  await journal.trim(3);
  await t.resolves(collected(payloads));
  t.equal(journal.size().bytes, 0);
});
