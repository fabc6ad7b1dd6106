import { copyFile, open as openFile, rm, truncate } from 'node:fs/promises';
import { join } from 'node:path';
import t from 'tap';
import { describeInspected, type Inspected, inspectJournal } from '../../src/journal/inspect.ts';
import { realFiles } from '../../src/journal/file-operations.ts';
import { openSegmentedLog } from '../../src/journal/segmented-log.ts';
import { systemClock } from '../../src/telemetry/system-clock.ts';
import { silentLog } from '../support/silent-log.ts';
import { entry } from './contract.ts';
import { folderOf } from '../support/folder.ts';

async function inspect(directory: string, files = realFiles): Promise<Inspected[]> {
  const items: Inspected[] = [];
  for await (const item of inspectJournal(directory, files)) items.push(item);
  return items;
}

/** Records of 62 and 64 bytes, two metrics each. */
async function write(directory: string, texts: readonly string[], segmentBytes = 300): Promise<string> {
  const journal = await openSegmentedLog({
    directory,
    clock: systemClock,
    log: silentLog,
    maxBytes: Math.max(1e6, segmentBytes * 8),
    segmentBytes,
  });
  for (const text of texts) await journal.append(entry(text, 2));
  await journal.close();
  return journal.id;
}

const segment = (directory: string, ordinal: number): string =>
  join(directory, `segment-${String(ordinal).padStart(10, '0')}.log`);

t.test('a sound journal: its segments, its records, a sum', async (t) => {
  const directory = folderOf(t);
  const id = await write(directory, ['a', 'bb', 'c', 'd', 'e', 'f', 'g']);
  const items = await inspect(directory);
  t.same(
    items.map(({ kind }) => kind),
    ['segment', ...Array<string>(5).fill('record'), 'segment', 'record', 'record', 'summary'],
  );
  t.match(items[0], { path: segment(directory, 1), journalId: id, version: 1, base: { sequence: 0, count: 0 } });
  t.match(items[1], { offset: 64, bytes: 58, sequence: 1, count: 2, metrics: 2, envelopeBytes: 9, payloadBytes: 1 });
  t.match(items.at(-1), { journalId: id, segments: 2, records: 7, metrics: 14, lostMetrics: 0, damagedBytes: 0 });
  const lines = items.map(describeInspected);
  t.match(lines[2], /^ {2}122: record 2, 2 metrics \(4 in all\), 10 \+ 2 bytes$/);
  t.match(lines.at(-1), `journal ${id}: 2 segments, 7 records, 14 metrics; 0 metrics lost, 0 bytes damaged`);
});

t.test('damage, gaps, copies and rubbish are told where they are', async (t) => {
  const directory = folderOf(t);
  await write(directory, ['a', 'b', 'c', 'd', 'e', 'f', 'g', 'h']);
  await copyFile(segment(directory, 1), segment(directory, 8));
  const file = await openFile(segment(directory, 1), 'r+');
  await file.write(Buffer.from('?'), 0, 1, 64 + 58 + 50);
  await file.close();
  await (await openFile(segment(directory, 9), 'w')).close();
  await truncate(segment(directory, 2), 64 + 58 + 30);
  const items = await inspect(directory);
  t.ok(items.find((item) => item.kind === 'damage' && item.offset === 64 + 58 && item.bytes === 58));
  t.match(
    items.filter(({ kind }) => kind === 'gap'),
    [{ afterSequence: 1, records: 1, metrics: 2 }],
  );
  t.match(
    items.filter(({ kind }) => kind === 'segment').map((item) => (item as { problem?: string }).problem),
    [undefined, undefined, /a copy of segment 1/, /too short for a header/],
  );
  t.match(items.at(-1), { records: 5, metrics: 10, lostMetrics: 2, damagedBytes: 58 + 30 + 64 + 5 * 58 });
  t.ok(items.map(describeInspected).every((line) => !line.includes('undefined')));
});

t.test('an empty directory is no journal, and no error', async (t) => {
  const directory = folderOf(t);
  t.same(await inspect(directory), [
    { kind: 'summary', segments: 0, records: 0, metrics: 0, lostMetrics: 0, damagedBytes: 0 },
  ]);
});

t.test('what a running gateway trims meanwhile is no fault and no loss', async (t) => {
  for (const opening of [1, 2]) {
    const directory = folderOf(t);
    await write(directory, ['a', 'bb', 'c', 'd', 'e', 'f', 'g']);
    const oldest = segment(directory, 1);
    let opened = 0;
    const items = await inspect(directory, {
      ...realFiles,
      open: async (path, mode) => {
        if (path === oldest && (opened += 1) === opening) await rm(path);
        return realFiles.open(path, mode);
      },
    });
    t.same(
      items.map(({ kind }) => kind),
      ['segment', 'record', 'record', 'summary'],
      `removed before it was opened for time ${opening}`,
    );
    t.match(items.at(-1), { kind: 'summary', segments: 1, lostMetrics: 0, damagedBytes: 0 });
  }
});

t.test('a large segment that is trimmed while it is read is neither', async (t) => {
  const directory = folderOf(t);
  await write(directory, ['x'.repeat(900_000), 'y'.repeat(900_000), 'z'.repeat(900_000)], 2_500_000);
  const oldest = segment(directory, 1);
  let opened = 0;
  const items = await inspect(directory, {
    ...realFiles,
    open: async (path, mode) => {
      const file = await realFiles.open(path, mode);
      if (path === oldest && (opened += 1) === 2) await realFiles.remove(path);
      return file;
    },
  });
  t.same(
    items.map(({ kind }) => kind),
    ['segment', 'record', 'summary'],
    'what is left',
  );
  t.match(items.at(-1), { kind: 'summary', segments: 1, records: 1, lostMetrics: 0, damagedBytes: 0 });
});
