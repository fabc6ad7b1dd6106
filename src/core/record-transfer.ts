/** Journal records as one buffer that changes threads without being copied again: a table of numbers, then all bytes. */
import type { DeliveredRecord } from './sink.ts';

/** sequence, count, metrics, from, to, bytes of the envelope, bytes of the payload. */
const FIELDS = 7;

export function packRecords(records: readonly DeliveredRecord[]): ArrayBuffer {
  const tableBytes = (1 + records.length * FIELDS) * 8;
  let size = tableBytes;
  for (const { envelope, payload } of records) size += envelope.byteLength + payload.byteLength;
  const buffer = new ArrayBuffer(size);
  const table = new Float64Array(buffer, 0, 1 + records.length * FIELDS);
  const bytes = new Uint8Array(buffer);
  table[0] = records.length;
  let at = tableBytes;
  let field = 1;
  // This runs on the thread that answers HTTP, for every request: no array or iterator per record.
  for (const record of records) {
    const { envelope, payload } = record;
    table[field] = record.sequence;
    table[field + 1] = record.count;
    table[field + 2] = record.metrics;
    table[field + 3] = record.from;
    table[field + 4] = record.to;
    table[field + 5] = envelope.byteLength;
    table[field + 6] = payload.byteLength;
    field += FIELDS;
    bytes.set(envelope, at);
    at += envelope.byteLength;
    bytes.set(payload, at);
    at += payload.byteLength;
  }
  return buffer;
}

/** Gives the bytes back at once when all is read: a collector would come for them when many more have gathered. */
export const releaseRecords = (buffer: ArrayBuffer): void => void buffer.transfer(0);

/** The records again, as views of the buffer. */
export function* unpackRecords(buffer: ArrayBuffer): Generator<DeliveredRecord> {
  const [records = 0] = new Float64Array(buffer, 0, 1);
  const table = new Float64Array(buffer, 8, records * FIELDS);
  let at = 8 + table.byteLength;
  for (let field = 0; field < table.length; field += FIELDS) {
    const envelope = new Uint8Array(buffer, at, table[field + 5]);
    at += envelope.byteLength;
    const payload = new Uint8Array(buffer, at, table[field + 6]);
    at += payload.byteLength;
    yield {
      sequence: table[field]!,
      count: table[field + 1]!,
      metrics: table[field + 2]!,
      from: table[field + 3]!,
      to: table[field + 4]!,
      envelope,
      payload,
    };
  }
}
