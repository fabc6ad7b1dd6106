/** docs/journal-format.md is the contract of the bytes: its example is decoded, and written again. */
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { crc32 } from 'node:zlib';
import t from 'tap';
import { readRecord } from '../../src/core/record.ts';
import { encodeFrame, encodeSegmentHeader, journalId } from '../../src/journal/frame.ts';
import { openSegmentedLog } from '../../src/journal/segmented-log.ts';
import { systemClock } from '../../src/telemetry/system-clock.ts';
import { silentLog } from '../support/silent-log.ts';
import { ALL } from './contract.ts';
import { folderOf } from '../support/folder.ts';

const page = await readFile(join(import.meta.dirname, '../../docs/journal-format.md'), 'utf8');
const [, dump = ''] = /```hexdump\n(.*?)```/s.exec(page)!;
const example = Buffer.from(
  dump
    .trimEnd()
    .split('\n')
    .map((line) => line.slice(10, 58).replaceAll(' ', ''))
    .join(''),
  'hex',
);

t.test('the example is a journal that opens', async (t) => {
  const directory = folderOf(t);
  await writeFile(join(directory, 'segment-0000000001.log'), example);
  const journal = await openSegmentedLog({ directory, clock: systemClock, log: silentLog });
  t.equal(journal.id, '0123456789abcdef');
  t.match(journal.recovery, { created: false, records: 1, metrics: 2, lostMetrics: 0, damagedBytes: 0 });
  const [record] = await journal.read(0, ALL);
  t.match(record, { sequence: 1, count: 2, metrics: 2 });
  const { envelope, events } = readRecord(record!);
  t.match(envelope, {
    format: 'json',
    requestId: 'req_1',
    receivedAt: Date.UTC(2026, 0, 1),
    keyId: 'key_1',
    keyService: 'docs',
  });
  t.match(events, [{ value: 1 }, { value: 2 }]);
  await journal.close();
});

t.test('the example is what is written', async (t) => {
  const createdAt = Date.UTC(2026, 0, 1);
  const header = encodeSegmentHeader({
    id: '0123456789abcdef',
    version: 1,
    ordinal: 1,
    base: { sequence: 0, count: 0 },
    createdAt,
  });
  const envelope = Buffer.from('{"f":"json","q":"req_1","t":1767225600000,"k":"key_1","s":"docs"}');
  const payload = Buffer.from('{"service":"docs","metrics":[{"type":"custom","value":1},{"type":"custom","value":2}]}');
  const frame = Buffer.alloc(48);
  encodeFrame(frame, 0, journalId('0123456789abcdef'), {
    sequence: 1,
    count: 2,
    metrics: 2,
    envelopeBytes: envelope.length,
    payloadBytes: payload.length,
    bodyCrc: crc32(Buffer.concat([envelope, payload])),
  });
  t.same(Buffer.concat([header, frame, envelope, payload]), example);
});

t.test('a journal on disk begins as the tables say, beyond 2^32 too', async (t) => {
  const base = { sequence: 2 ** 32 + 5, count: 2 ** 52 + 7 };
  const header = encodeSegmentHeader({ id: 'fedcba9876543210', version: 1, ordinal: 2 ** 33, base, createdAt: 1 });
  t.equal(header.length, 64);
  t.equal(header.readBigUInt64LE(24), 2n ** 33n);
  t.equal(header.readBigUInt64LE(32), BigInt(base.sequence));
  t.equal(header.readBigUInt64LE(40), BigInt(base.count));
  const directory = folderOf(t);
  await writeFile(join(directory, `segment-${2 ** 33}.log`), header);
  const journal = await openSegmentedLog({ directory, clock: systemClock, log: silentLog });
  t.same(journal.head(), base);
  const record = await journal.append({ envelope: Buffer.alloc(3), payload: Buffer.alloc(4), metrics: 2 });
  await journal.close();
  const bytes = await readFile(join(directory, `segment-${2 ** 33}.log`));
  t.equal(bytes.length, 64 + 48 + 7);
  t.equal(bytes.readBigUInt64LE(64 + 16), BigInt(record.sequence));
  t.equal(bytes.readBigUInt64LE(64 + 24), BigInt(record.count));
  t.equal(bytes.readUInt32LE(64 + 32), 2);
  t.equal(bytes.readUInt32LE(64 + 36), 3);
  t.equal(bytes.readUInt32LE(64 + 40), 4);
  t.equal(bytes.readUInt32LE(64 + 44), crc32(bytes.subarray(64 + 48)));
  t.equal(bytes.readUInt32LE(64 + 4), crc32(bytes.subarray(64 + 8, 64 + 48)));
});
