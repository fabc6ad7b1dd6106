/** A disk that fails under an open journal: no 200, a clear trouble, and healing without a restart or a request. */
import t from 'tap';
import type { Journal } from '../../src/core/journal.ts';
import type { Refusal } from '../../src/core/refusal.ts';
import { openSegmentedLog } from '../../src/journal/segmented-log.ts';
import { createTelemetry } from '../../src/telemetry/telemetry.ts';
import { silentLog } from '../support/silent-log.ts';
import { virtualClock } from '../support/virtual-clock.ts';
import { entry, readAll, textOf } from './contract.ts';
import { simulatedDisk } from './simulated-disk.ts';

async function subject() {
  const disk = simulatedDisk();
  const clock = virtualClock();
  const telemetry = createTelemetry();
  const open = (): Promise<Journal> =>
    openSegmentedLog({ directory: '/journal', clock, telemetry, log: silentLog, files: disk.files, maxBytes: 1e6 });
  const journal = await open();
  const value = (name: string): unknown => telemetry.collect().find((family) => family.name === name)?.series[0]?.value;
  return { disk, clock, journal, value, open };
}

const refusalOf = async (append: Promise<unknown>): Promise<Refusal> => {
  try {
    await append;
  } catch (error) {
    return error as Refusal;
  }
  throw new Error('expected a refusal');
};
const texts = async (journal: Journal): Promise<string[]> => (await readAll(journal)).map(textOf);

t.test(
  'a full disk refuses every request of the group with 503 and Retry-After, and keeps nothing of it',
  async (t) => {
    const { disk, clock, journal, value } = await subject();
    await journal.append(entry('before', 2));
    const { size } = { size: disk.content(disk.paths()[0]!).length };
    disk.fault = { kind: 'ENOSPC', share: 0.6 };
    disk.full = false;
    const refusals = await Promise.all(['a', 'b', 'c'].map((text) => refusalOf(journal.append(entry(text)))));
    for (const refusal of refusals) {
      t.equal(refusal.status, 503);
      t.equal(refusal.code, 'overloaded');
      t.ok(refusal.options.retryAfterSeconds! > 0);
      t.match(refusal.message, /no space left on its disk \(ENOSPC\)/);
      t.notMatch(refusal.message, /\/journal/, 'clients read no paths');
    }
    t.equal(disk.content(disk.paths()[0]!).length, size, 'the half-written group is cut off');
    t.same(journal.head(), { sequence: 1, count: 2 });
    t.equal(value('mcp_gateway_journal_write_failures_total'), 1);
    t.match(journal.trouble(), /no space left/);

    disk.full = true;
    await clock.advance(10_000);
    t.match(journal.trouble(), /no space left/, 'still full');
    t.equal((await refusalOf(journal.append(entry('d')))).status, 503);

    disk.full = false;
    await clock.advance(1000);
    t.equal(journal.trouble(), undefined, 'healed without a request');
    t.match(await journal.append(entry('after')), { sequence: 2, count: 3 });
    t.same(await texts(journal), ['before', 'after']);
    t.notOk(disk.paths().some((path) => path.endsWith('probe.tmp')));
    await journal.close();
  },
);

t.test('after an input/output error the file is not written on: a new segment begins', async (t) => {
  const { disk, clock, journal, open } = await subject();
  await journal.append(entry('before'));
  disk.fault = { kind: 'EIO', share: 1 };
  t.match((await refusalOf(journal.append(entry('lost')))).message, /EIO/);
  await clock.advance(1000);
  await journal.append(entry('after'));
  t.equal(disk.paths().length, 2);
  await journal.close();
  const again = await open();
  t.same(await texts(again), ['before', 'after']);
  t.match(again.recovery, { lostMetrics: 0, damagedBytes: 0 });
  await again.close();
});

t.test('a refused record that could not be cut off does not come back once something newer is accepted', async (t) => {
  const { disk, clock, journal, open } = await subject();
  await journal.append(entry('before'));
  disk.fault = { kind: 'EIO', share: 1, noRepair: true };
  await refusalOf(journal.append(entry('refused')));
  disk.noRepair = false;
  await clock.advance(1000);
  t.match(await journal.append(entry('after')), { sequence: 2 });
  await journal.close();
  const again = await open();
  t.same(await texts(again), ['before', 'after']);
  t.equal(again.recovery.lostMetrics, 0);
  await again.close();
});

t.test('a write that ends early without an error is completed', async (t) => {
  const { disk, journal } = await subject();
  for (const share of [0, 0.1, 0.5, 0.99]) {
    disk.fault = { kind: 'short', share };
    await Promise.all(['a', 'b'.repeat(10_000), 'c'].map((text) => journal.append(entry(text))));
  }
  t.equal((await texts(journal)).length, 12);
  await journal.close();
});

t.test('a journal opens on a disk that takes nothing, and works once it does', async (t) => {
  const disk = simulatedDisk();
  disk.full = true;
  const clock = virtualClock();
  const journal = await openSegmentedLog({
    directory: '/journal',
    clock,
    log: silentLog,
    files: disk.files,
    maxBytes: 1e6,
  });
  t.match(journal.trouble(), /no space left/);
  t.equal((await refusalOf(journal.append(entry('a')))).status, 503);
  disk.full = false;
  await clock.advance(1000);
  t.match(await journal.append(entry('b')), { sequence: 1, count: 1 });
  await journal.close();
  const again = await openSegmentedLog({ directory: '/journal', clock, log: silentLog, files: disk.files });
  t.equal(again.id, journal.id);
  t.same(await texts(again), ['b']);
  await again.close();
});

t.test('appends that wait behind a failing write are refused with it, and their numbers given out again', async (t) => {
  const { disk, clock, journal } = await subject();
  disk.fault = { kind: 'ENOSPC', share: 0 };
  const first = refusalOf(journal.append(entry('first')));
  await new Promise((resolve) => setImmediate(resolve));
  const waiting = refusalOf(journal.append(entry('waiting')));
  t.match([(await first).status, (await waiting).status], [503, 503]);
  await clock.advance(1000);
  t.match(await journal.append(entry('after')), { sequence: 1, count: 1 });
  await journal.close();
});

t.test('segments that cannot be removed stay, and go at the next trim', async (t) => {
  const disk = simulatedDisk();
  const journal = await openSegmentedLog({
    directory: '/journal',
    clock: virtualClock(),
    log: silentLog,
    files: disk.files,
    maxBytes: 1e6,
    segmentBytes: 1000,
  });
  for (let index = 0; index < 20; index += 1) await journal.append(entry('x'.repeat(200)));
  const before = disk.paths().length;
  disk.noRepair = true;
  await journal.trim(15);
  t.equal(disk.paths().length, before);
  t.equal((await readAll(journal)).length, 20, 'they can still be read');
  disk.noRepair = false;
  await journal.trim(15);
  t.ok(disk.paths().length < before);
  await journal.close();
});
