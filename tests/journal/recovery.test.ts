/** Opening a journal again, on real files: what a restart finds after a clean stop, a kill and damage. */
import { appendFile, copyFile, open as openFile, readdir, readFile, stat, truncate, writeFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { crc32 } from 'node:zlib';
import t from 'tap';
import type { Journal } from '../../src/core/journal.ts';
import type { Log } from '../../src/core/ports.ts';
import { openSegmentedLog, type SegmentedLogOptions } from '../../src/journal/segmented-log.ts';
import { createTelemetry } from '../../src/telemetry/telemetry.ts';
import { systemClock } from '../../src/telemetry/system-clock.ts';
import { silentLog } from '../support/silent-log.ts';
import { simulatedDisk } from './simulated-disk.ts';
import { ALL, entry, readAll, textOf } from './contract.ts';
import { folderOf } from '../support/folder.ts';

const open = (directory: string, options: Partial<SegmentedLogOptions> = {}): Promise<Journal> =>
  openSegmentedLog({ directory, clock: systemClock, log: silentLog, ...options });

const texts = async (journal: Journal): Promise<string[]> => (await readAll(journal)).map(textOf);
const segments = async (directory: string): Promise<string[]> =>
  (await readdir(directory)).toSorted().map((file) => join(directory, file));

/** Records `1` to `n` of two metrics each, then closed. */
async function write(directory: string, n: number, options: Partial<SegmentedLogOptions> = {}): Promise<Journal> {
  const journal = await open(directory, options);
  for (let index = 1; index <= n; index += 1) await journal.append(entry(String(index), 2));
  await journal.close();
  return journal;
}

async function change(path: string, position: number, bytes: Uint8Array): Promise<void> {
  const file = await openFile(path, 'r+');
  await file.write(bytes, 0, bytes.length, position);
  await file.close();
}

/** A log that keeps what was warned. */
function listening(): { log: Log; lines: { message: string; fields: object }[] } {
  const lines: { message: string; fields: object }[] = [];
  const log: Log = { ...silentLog, warn: (fields, message) => lines.push({ message, fields }), child: () => log };
  return { log, lines };
}

t.test('a journal goes on where it was: id, sequence, count, records', async (t) => {
  const directory = folderOf(t);
  const { id } = await write(directory, 3);
  const journal = await open(directory);
  t.equal(journal.id, id);
  t.same(journal.head(), { sequence: 3, count: 6 });
  t.match(journal.recovery, { created: false, records: 3, metrics: 6, lostMetrics: 0, damagedBytes: 0 });
  t.match(await journal.append(entry('4', 5)), { sequence: 4, count: 11 });
  t.same(await texts(journal), ['1', '2', '3', '4']);
  await journal.close();
  t.equal((await segments(directory)).length, 1, 'and in the same file');
});

t.test('a kill loses nothing that was acknowledged: the files are whole at that instant', async (t) => {
  const directory = folderOf(t, { copy: {} });
  const from = join(directory, 'journal');
  const journal = await open(from, { maxBytes: 1e6, segmentBytes: 2000 });
  for (let index = 1; index <= 50; index += 1) await journal.append(entry(`${index}`.padEnd(100)));
  for (const path of await segments(from)) await copyFile(path, join(directory, 'copy', basename(path)));
  const copy = await open(join(directory, 'copy'));
  t.match(copy.recovery, { records: 50, metrics: 50, lostMetrics: 0, damagedBytes: 0 });
  await Promise.all([journal.close(), copy.close()]);
});

t.test('an unfinished last write is cut off, said in bytes and in one line', async (t) => {
  const directory = folderOf(t);
  await write(directory, 3);
  const [path] = (await segments(directory)) as [string];
  const { size } = await stat(path);
  await truncate(path, size - 10);
  const { log, lines } = listening();
  const telemetry = createTelemetry();
  const journal = await open(directory, { log, telemetry });
  const length = 48 + 2 * 1 + '{"q":""}'.length;
  t.match(journal.recovery, { records: 2, metrics: 4, lostMetrics: 0, damagedBytes: length - 10 });
  t.equal(lines.length, 1);
  t.match(lines[0]?.fields, { records: 2, damagedBytes: length - 10 });
  const gauge = telemetry.collect().find(({ name }) => name === 'mcp_gateway_journal_damaged_bytes');
  t.equal(gauge?.series[0]?.value, length - 10);
  t.equal((await stat(path)).size, size - length);
  t.match(await journal.append(entry('again', 1)), { sequence: 3, count: 5 });
  t.same(await texts(journal), ['1', '2', 'again']);
  await journal.close();
  t.match((await open(directory)).recovery, { damagedBytes: 0 }, 'the next start finds nothing wrong');
});

t.test(
  'what is missing between whole records is counted exactly, and a reader sees it as a jump of count',
  async (t) => {
    const directory = folderOf(t);
    await write(directory, 5);
    const [path] = (await segments(directory)) as [string];
    const length = 48 + 2 + '{"q":""}'.length;
    // In the body of record 2 and in the header of record 3.
    await change(path, 64 + length + 50, Buffer.from('?'));
    await change(path, 64 + 2 * length + 20, Buffer.from('?'));
    const journal = await open(directory);
    t.match(journal.recovery, { records: 3, metrics: 6, lostMetrics: 4, damagedBytes: 2 * length });
    t.same(
      (await readAll(journal)).map(({ sequence, count }) => [sequence, count]),
      [
        [1, 2],
        [4, 8],
        [5, 10],
      ],
    );
    t.same((await journal.read(2, ALL)).map(textOf), ['4', '5']);
    await journal.close();
  },
);

t.test(
  'damage that comes while the journal is open is passed over by readers, and told once per segment',
  async (t) => {
    const directory = folderOf(t);
    const { log, lines } = listening();
    const journal = await open(directory, { log });
    for (let index = 1; index <= 3; index += 1) await journal.append(entry(String(index), 2));
    const [path] = (await segments(directory)) as [string];
    await change(path, 64 + 58 + 50, Buffer.from('?'));
    t.same(await texts(journal), ['1', '3']);
    t.same(await texts(journal), ['1', '3']);
    t.equal(lines.length, 1);
    await journal.close();
  },
);

t.test('a segment that is gone is counted by its neighbours', async (t) => {
  const directory = folderOf(t);
  const journal = await open(directory, { maxBytes: 1e6, segmentBytes: 1000 });
  for (let index = 1; index <= 30; index += 1) await journal.append(entry(`${index}`.padEnd(100), 2));
  await journal.close();
  const paths = await segments(directory);
  t.ok(paths.length > 4);
  await truncate(paths[2]!, 0);
  const after = await open(directory);
  t.equal(after.recovery.lostMetrics, 2 * (30 - after.recovery.records));
  t.ok(after.recovery.lostMetrics > 0);
  t.same(after.head(), { sequence: 30, count: 60 });
  await after.close();
});

t.test('files of rubbish alone begin a new journal, beside what was there', async (t) => {
  const directory = folderOf(t);
  await writeFile(join(directory, 'segment-0000000007.log'), 'rubbish'.repeat(100));
  await writeFile(join(directory, 'notes.txt'), 'no segment');
  const journal = await open(directory);
  t.match(journal.recovery, { created: true, records: 0, damagedBytes: 700 });
  t.match(await journal.append(entry('first')), { sequence: 1, count: 1 });
  await journal.close();
  const again = await open(directory);
  t.match(again.recovery, { created: false, records: 1, damagedBytes: 700 });
  t.equal(again.id, journal.id);
  await again.trim(1);
  await again.close();
});

t.test('segments of another journal are passed over', async (t) => {
  const directory = folderOf(t);
  await write(join(directory, 'a'), 3);
  await write(join(directory, 'b'), 1);
  const [a] = (await segments(join(directory, 'a'))) as [string];
  await copyFile(a, join(directory, 'b', 'segment-0000000000.log'));
  const journal = await open(join(directory, 'b'));
  t.same(await texts(journal), ['1']);
  await journal.close();
});

t.test('a journal of a newer format is left alone', async (t) => {
  const directory = folderOf(t);
  await write(directory, 1);
  const [path] = (await segments(directory)) as [string];
  const before = await readFile(path);
  before.writeUInt16LE(2, 8);
  before.writeUInt32LE(crc32(before.subarray(0, 60)), 60);
  await writeFile(path, before);
  await appendFile(path, 'what only the newer version understands');
  const whole = await readFile(path);
  await t.rejects(open(directory), /is a journal of format 2; this version reads up to 1/);
  t.same(await readFile(path), whole);
});

t.test('without a limit of its own the journal takes 2 GiB, or four fifths of a smaller disk', async (t) => {
  for (const [free, expected] of [
    [1e12, 2 * 1024 ** 3],
    [1e9, 8e8],
    [0, 16 * 1024 ** 2],
  ] as const) {
    const { files } = simulatedDisk();
    const journal = await open('/journal', { files: { ...files, freeBytes: () => Promise.resolve(free) } });
    t.equal(journal.size().maxBytes, expected);
    await journal.close();
  }
});
