/** Records cross threads as one buffer, and come out as they went in. */
import t from 'tap';
import { createPacker, packedBytes, packRecords, unpackRecords } from '../../src/core/record-transfer.ts';
import type { DeliveredRecord } from '../../src/core/sink.ts';

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);

/** Its bytes as Uint8Array, whatever class views of a buffer have. */
const plainBytes = (record: DeliveredRecord): DeliveredRecord => ({
  ...record,
  envelope: new Uint8Array(record.envelope),
  payload: new Uint8Array(record.payload),
});

const RECORDS: readonly DeliveredRecord[] = [
  { sequence: 7, count: 30, metrics: 10, from: 0, to: 10, envelope: bytes('{"t":1}'), payload: bytes('é'.repeat(999)) },
  { sequence: 8, count: 35, metrics: 5, from: 2, to: 4, envelope: bytes('{}'), payload: bytes('') },
  {
    sequence: 2 ** 40,
    count: 2 ** 50 + 1,
    metrics: 1,
    from: 0,
    to: 1,
    envelope: bytes(''),
    // A view of a larger buffer, as the journal hands them out.
    payload: bytes('before payload after').subarray(7, 14),
  },
];

t.test('records come out as they went in, parts of records and empty ones too', async (t) => {
  const out = [...unpackRecords(packRecords(RECORDS))];
  t.strictSame(
    out.map((record) => ({ ...record, envelope: [...record.envelope], payload: [...record.payload] })),
    RECORDS.map((record) => ({ ...record, envelope: [...record.envelope], payload: [...record.payload] })),
  );
  t.strictSame([...unpackRecords(packRecords([]))], [], 'none at all');
});

t.test('what was packed can be sent away while the journal keeps its own bytes', async (t) => {
  const packed = packRecords(RECORDS);
  structuredClone(packed, { transfer: [packed] });
  t.equal(packed.byteLength, 0, 'sent');
  t.equal(Buffer.from(RECORDS[2]!.payload).toString(), 'payload', 'kept');
});

t.test('a buffer that is back takes the next batch', async (t) => {
  const packer = createPacker();
  const first = packer.pack(RECORDS);
  packer.takeBack(first);
  const fewer = RECORDS.slice(0, 1);
  const second = packer.pack(fewer);
  t.equal(second, first, 'the same memory');
  t.equal(packedBytes(second), packRecords(fewer).byteLength, 'says how much of it is used');
  t.strictSame([...unpackRecords(second)], fewer.map(plainBytes), 'nothing of the batch before is left');
});

t.test('a buffer is kept for one batch at a time, and only where it fits', async (t) => {
  const packer = createPacker();
  const first = packer.pack(RECORDS);
  t.not(packer.pack(RECORDS), first, 'not while the other thread has it');
  packer.takeBack(first);
  t.equal(packer.pack(RECORDS), first);
  t.not(packer.pack(RECORDS), first, 'not twice');
  packer.takeBack(undefined);
  t.not(packer.pack(RECORDS), first, 'none that did not come back');

  const small = packer.pack(RECORDS.slice(1, 2));
  packer.takeBack(small);
  const large = packer.pack(RECORDS);
  t.ok(large.byteLength > small.byteLength, 'a larger one where it is too small');
  t.strictSame([...unpackRecords(large)], RECORDS.map(plainBytes));
  packer.takeBack(large);
  t.equal(
    packer.pack(RECORDS.slice(1, 2)).byteLength,
    small.byteLength,
    'the far too large one goes back to the system',
  );
});
