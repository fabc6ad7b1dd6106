/** Records cross threads as one buffer, and come out as they went in. */
import t from 'tap';
import { packRecords, releaseRecords, unpackRecords } from '../../src/core/record-transfer.ts';
import type { DeliveredRecord } from '../../src/core/sink.ts';

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);

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

t.test('bytes that are read are given back at once, and records decoded of them stay', async (t) => {
  const packed = packRecords(RECORDS);
  const [first] = [...unpackRecords(packed)];
  const text = Buffer.from(first!.envelope).toString();
  releaseRecords(packed);
  t.equal(packed.byteLength, 0, 'nothing is held');
  t.equal(first!.envelope.byteLength, 0, 'views are empty');
  t.equal(text, '{"t":1}');
});
