import { open, readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import t from 'tap';
import { realFiles } from '../../src/journal/file-operations.ts';
import { folderOf } from '../support/folder.ts';

const MIB = 1024 * 1024;

t.test('a large file loses its name at once and its blocks little by little', async (t) => {
  const directory = folderOf(t);
  const path = join(directory, 'large');
  await writeFile(path, Buffer.alloc(9 * MIB));
  const file = await open(path);
  t.teardown(() => file.close());
  const sizes: number[] = [9 * MIB];
  let removed = false;
  const removing = realFiles.remove(path).then(() => (removed = true));
  while (!removed) {
    const { nlink, size } = await file.stat();
    if (nlink === 0 && size !== sizes.at(-1)) sizes.push(size);
    else if (nlink === 1) t.equal(size, 9 * MIB, 'whole for as long as it has a name');
  }
  await removing;
  t.same(
    sizes,
    [9, 7, 5, 3, 1].map((mib) => mib * MIB),
  );
  t.same(await readdir(directory), []);
});

t.test('what is not there cannot be removed', async (t) => {
  await t.rejects(realFiles.remove(join(folderOf(t), 'nothing')), { code: 'ENOENT' });
});
