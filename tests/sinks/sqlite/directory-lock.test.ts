import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFile, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import t from 'tap';
import { DirectoryInUse } from '../../../src/core/directory-lock.ts';
import { lockDirectory } from '../../../src/sinks/sqlite/directory-lock.ts';
import { plainNode } from '../../support/plain-node.ts';
import { folderOf } from '../../support/folder.ts';

const HOLDER = join(import.meta.dirname, 'lock-holder.ts');

/** Starts a process that tries to lock; resolves with what it said. */
async function holder(directory: string, waitMs = 0): Promise<{ child: ChildProcess; said: string }> {
  const [command, args] = plainNode('--conditions=mcp-metrics-source', HOLDER, directory, String(waitMs));
  const child = spawn(command, args, { stdio: ['ignore', 'pipe', 'inherit'] });
  t.teardown(() => child.kill('SIGKILL'));
  const [line] = (await once(child.stdout, 'data')) as [Buffer];
  return { child, said: line.toString().trim() };
}

t.test('a second process is refused, with who holds the directory and what to do', async (t) => {
  const directory = join(folderOf(t), 'data');
  const lock = await lockDirectory(directory);
  const { said } = await holder(directory);
  t.match(said, `The data directory ${directory} is in use by another gateway (process ${process.pid} on host`);
  t.match(said, /Stop that one first/);
  await lock.release();
  t.equal((await holder(directory)).said, 'locked');
});

t.test('a second lock within the process is refused too', async (t) => {
  const directory = folderOf(t);
  const lock = await lockDirectory(directory);
  await t.rejects(lockDirectory(directory, { waitMs: 0 }), DirectoryInUse);
  await lock.release();
  await (await lockDirectory(directory, { waitMs: 0 })).release();
});

t.test('kill -9 frees the directory, and one who waits gets it', async (t) => {
  const directory = folderOf(t);
  const first = await holder(directory);
  t.equal(first.said, 'locked');
  await t.rejects(lockDirectory(directory, { waitMs: 0 }), DirectoryInUse);
  const waiting = lockDirectory(directory, { waitMs: 30_000 });
  first.child.kill('SIGKILL');
  await (await waiting).release();
});

t.test('of many that start at once, one gets it', async (t) => {
  const directory = folderOf(t);
  const starters = await Promise.all(Array.from({ length: 5 }, () => holder(directory)));
  t.equal(starters.filter(({ said }) => said === 'locked').length, 1);
});

t.test('a lock file that holds rubbish still locks', async (t) => {
  const directory = folderOf(t);
  await writeFile(join(directory, 'lock'), 'no database at all, whatever came over it'.repeat(100));
  const lock = await lockDirectory(directory);
  await t.rejects(lockDirectory(directory, { waitMs: 0 }), DirectoryInUse);
  await lock.release();
  await truncate(join(directory, 'lock'), 0);
  await (await lockDirectory(directory)).release();
});

t.test('the lock takes no bytes: a full disk can be locked', async (t) => {
  const directory = folderOf(t);
  const lock = await lockDirectory(directory);
  await lock.release();
  t.equal((await readFile(join(directory, 'lock'))).length, 0);
});
