/** Threads that start before their work is known: they get it like others, and those that nobody wants end. */
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import t from 'tap';
import { endEarlyThreads, startEarly, startThread } from '../../src/core/threads.ts';
import { folderOf } from '../support/folder.ts';

const ECHO = new URL('echo-worker.ts', import.meta.url);

t.test('a thread gets its data, also one that was started early', async (t) => {
  const early = startEarly(ECHO);
  const first = startThread(ECHO, { path: 'first' });
  t.equal(first, early);
  const second = startThread(ECHO, { path: 'second' });
  t.not(second, early, 'one early thread serves one');
  const answers = await Promise.all([once(first, 'message'), once(second, 'message')]);
  t.match(answers, [[{ given: { path: 'first' } }], [{ given: { path: 'second' } }]]);
});

t.test('an early thread that nobody wanted ends', async (t) => {
  const early = startEarly(ECHO);
  await Promise.all([once(early, 'exit'), endEarlyThreads()]);
  const later = startThread(ECHO, 'later');
  t.not(later, early);
  t.match(await once(later, 'message'), [{ given: 'later' }]);
});

t.test('an early thread that fails costs nothing: the one who wants it hears why, or gets a whole one', async (t) => {
  const path = join(folderOf(t), 'worker.mts');
  const script = pathToFileURL(path);
  const early = startEarly(script);
  await new Promise((resolve) => early.once('exit', resolve));
  t.match(await once(startThread(script, 1), 'error'), [{ code: 'ERR_MODULE_NOT_FOUND' }]);
  writeFileSync(path, "throw new Error('not today')");
  startEarly(script);
  t.match(await once(startThread(script, 1), 'error'), [{ message: 'not today' }], 'it had not failed yet');
});
