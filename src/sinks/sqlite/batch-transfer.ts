/** Journal records as one ArrayBuffer, so that a batch crosses to the writer's thread by transfer. */
import type { DeliveredRecord } from '../../core/sink.ts';

/** Per record: sequence, count, metrics, from, to, envelope bytes, payload bytes. */
const NUMBERS_PER_RECORD = 7;

/** Copies the records' bytes together: they belong to the journal and must not be detached from it. */
export function packRecords(records: readonly DeliveredRecord[]): ArrayBuffer {
  let bytes = 8 * (1 + records.length * NUMBERS_PER_RECORD);
  for (const { envelope, payload } of records) bytes += envelope.length + payload.length;
  const buffer = new ArrayBuffer(bytes);
  const numbers = new Float64Array(buffer, 0, 1 + records.length * NUMBERS_PER_RECORD);
  const body = new Uint8Array(buffer);
  numbers[0] = records.length;
  let at = 1;
  let offset = numbers.byteLength;
  for (const record of records) {
    const { envelope, payload } = record;
    numbers[at] = record.sequence;
    numbers[at + 1] = record.count;
    numbers[at + 2] = record.metrics;
    numbers[at + 3] = record.from;
    numbers[at + 4] = record.to;
    numbers[at + 5] = envelope.length;
    numbers[at + 6] = payload.length;
    at += NUMBERS_PER_RECORD;
    body.set(envelope, offset);
    offset += envelope.length;
    body.set(payload, offset);
    offset += payload.length;
  }
  return buffer;
}

/** The records of a packed buffer, as views of it. */
export function* unpackRecords(buffer: ArrayBuffer): Generator<DeliveredRecord> {
  const records = new Float64Array(buffer, 0, 1)[0]!;
  const numbers = new Float64Array(buffer, 8, records * NUMBERS_PER_RECORD);
  let offset = 8 + numbers.byteLength;
  for (let at = 0; at < numbers.length; at += NUMBERS_PER_RECORD) {
    const envelopeBytes = numbers[at + 5]!;
    const payloadBytes = numbers[at + 6]!;
    yield {
      sequence: numbers[at]!,
      count: numbers[at + 1]!,
      metrics: numbers[at + 2]!,
      from: numbers[at + 3]!,
      to: numbers[at + 4]!,
      envelope: new Uint8Array(buffer, offset, envelopeBytes),
      payload: new Uint8Array(buffer, offset + envelopeBytes, payloadBytes),
    };
    offset += envelopeBytes + payloadBytes;
  }
}
