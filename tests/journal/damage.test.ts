/** Journals that were damaged in every way: opening succeeds, what is whole is read, and what is not is accounted for. */
import assert from 'node:assert/strict';
import fc from 'fast-check';
import t from 'tap';
import type { Journal } from '../../src/core/journal.ts';
import { openSegmentedLog } from '../../src/journal/segmented-log.ts';
import { silentLog } from '../support/silent-log.ts';
import { virtualClock } from '../support/virtual-clock.ts';
import { readAll, textOf } from './contract.ts';
import { type SimulatedDisk, simulatedDisk } from './simulated-disk.ts';

const HEADER_BYTES = 64;

const open = (disk: SimulatedDisk): Promise<Journal> =>
  openSegmentedLog({
    directory: '/journal',
    clock: virtualClock(),
    log: silentLog,
    files: disk.files,
    maxBytes: 1e6,
    segmentBytes: 3000,
  });

/** Where a record lay: told from the layout alone, as docs/journal-format.md has it. */
interface Placed {
  readonly path: string;
  readonly bytes: Buffer;
  readonly sequence: number;
  readonly count: number;
  readonly metrics: number;
}

function placedIn(disk: SimulatedDisk): Placed[] {
  return disk.paths().flatMap((path) => {
    const content = disk.content(path);
    const placed: Placed[] = [];
    for (let at = HEADER_BYTES; at < content.length;) {
      const length = 48 + content.readUInt32LE(at + 36) + content.readUInt32LE(at + 40);
      placed.push({
        path,
        bytes: Buffer.from(content.subarray(at, at + length)),
        sequence: content.readUInt32LE(at + 16),
        count: content.readUInt32LE(at + 24),
        metrics: content.readUInt32LE(at + 32),
      });
      at += length;
    }
    return placed;
  });
}

interface Damage {
  readonly kind: 'flip' | 'truncate' | 'remove' | 'empty' | 'copy' | 'overwrite' | 'cut out' | 'zero';
  readonly file: number;
  readonly other: number;
  readonly where: number;
  readonly length: number;
}

function apply(disk: SimulatedDisk, { kind, file, other, where, length }: Damage): void {
  const paths = disk.paths();
  if (paths.length === 0) return;
  const path = paths[file % paths.length]!;
  const bytes = disk.content(path);
  const at = Math.floor(where * bytes.length);
  const end = Math.min(bytes.length, at + length);
  switch (kind) {
    case 'flip':
      return disk.edit(path, (content) => {
        for (let index = at; index < end; index += 1) content[index]! ^= 1 + ((index * 7) % 255);
        return content;
      });
    case 'zero':
      return disk.edit(path, (content) => content.fill(0, at, end));
    case 'truncate':
      return disk.edit(path, (content) => content.subarray(0, at));
    case 'cut out':
      return disk.edit(path, (content) => Buffer.concat([content.subarray(0, at), content.subarray(end)]));
    case 'empty':
      return disk.edit(path, () => Buffer.alloc(0));
    case 'remove':
      return disk.edit(path, () => undefined);
    case 'copy':
      return disk.put(`/journal/segment-${String(900 + other).padStart(10, '0')}.log`, Buffer.from(bytes));
    case 'overwrite':
      return disk.put(paths[other % paths.length]!, Buffer.from(bytes));
  }
}

const damage: fc.Arbitrary<Damage> = fc.record({
  kind: fc.oneof(
    { weight: 6, arbitrary: fc.constant('flip' as const) },
    {
      weight: 8,
      arbitrary: fc.constantFrom<Damage['kind'][]>(
        'truncate',
        'remove',
        'empty',
        'copy',
        'overwrite',
        'cut out',
        'zero',
      ),
    },
  ),
  file: fc.nat(20),
  other: fc.nat(20),
  where: fc.oneof(
    fc.double({ min: 0, max: 1, noNaN: true }),
    fc.constant(0),
    fc.double({ min: 0, max: 0.05, noNaN: true }),
  ),
  length: fc.oneof(fc.integer({ min: 1, max: 8 }), fc.integer({ min: 1, max: 2000 })),
});

async function journalOf(sizes: readonly number[]): Promise<SimulatedDisk> {
  const disk = simulatedDisk();
  const journal = await open(disk);
  for (const [index, size] of sizes.entries()) {
    const text = `${index}:`.padEnd(size, 'x');
    await journal.append({
      envelope: Buffer.from(`envelope ${index}`),
      payload: Buffer.from(text),
      metrics: index % 5,
    });
  }
  await journal.close();
  return disk;
}

t.test('whatever is damaged, opening succeeds and everything that is whole is read', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.oneof(fc.nat(100), fc.nat(1500)), { minLength: 1, maxLength: 40, size: 'max' }),
      fc.array(damage, { minLength: 1, maxLength: 5 }),
      async (sizes, damages) => {
        const disk = await journalOf(sizes);
        const before = placedIn(disk);
        const headers = new Map(
          disk.paths().map((path) => [path, Buffer.from(disk.content(path).subarray(0, HEADER_BYTES))]),
        );
        for (const one of damages) apply(disk, one);

        const paths = disk.paths();
        const bytes = paths.reduce((sum, path) => sum + disk.content(path).length, 0);
        const whole = before.filter(
          (record) => paths.includes(record.path) && disk.content(record.path).includes(record.bytes),
        );
        const intact = paths.filter((path) => headers.get(path)?.equals(disk.content(path).subarray(0, HEADER_BYTES)));
        const journal = await open(disk);
        const { recovery } = journal;
        const sequences = (await readAll(journal)).map(({ sequence }) => sequence);
        assert.deepEqual(
          sequences,
          sequences.toSorted((a, b) => a - b),
        );
        for (const { sequence } of whole) assert.ok(sequences.includes(sequence), `record ${sequence} is whole`);
        // A copy under another name may save a record whose own file is gone.
        const found = before.filter(({ sequence }) => sequences.includes(sequence));
        assert.equal(found.length, sequences.length);
        for (const record of found) assert.ok(paths.some((path) => disk.content(path).includes(record.bytes)));
        const metrics = found.reduce((sum, record) => sum + record.metrics, 0);
        assert.equal(recovery.metrics, metrics);

        // Every byte was read, or is reported.
        const read = found.reduce((sum, record) => sum + record.bytes.length, intact.length * HEADER_BYTES);
        assert.equal(recovery.damagedBytes, bytes - read, 'bytes');

        // From the first place that a header tells to the last one.
        const starts = [
          ...intact.slice(0, 1).map((path) => headers.get(path)!.readUInt32LE(40)),
          ...found.slice(0, 1).map((record) => record.count - record.metrics),
        ];
        const ends = [
          ...intact.slice(-1).map((path) => headers.get(path)!.readUInt32LE(40)),
          ...found.slice(-1).map(({ count }) => count),
        ];
        const span = starts.length === 0 ? 0 : Math.max(...ends) - Math.min(...starts);
        assert.equal(recovery.lostMetrics, span - metrics, 'lost');

        const head = journal.head();
        const after = await journal.append({ envelope: Buffer.alloc(0), payload: Buffer.from('after'), metrics: 1 });
        assert.deepEqual(
          { sequence: after.sequence, count: after.count },
          { sequence: head.sequence + 1, count: head.count + 1 },
        );
        await journal.close();
        const again = await open(disk);
        const later = await readAll(again);
        assert.equal(later.length, found.length + 1);
        assert.equal(textOf(later.at(-1)!), 'after');
        assert.equal(again.id, journal.id);
      },
    ),
    { numRuns: Number(process.env['DAMAGE_RUNS'] ?? 300), interruptAfterTimeLimit: 20_000 },
  );
});
