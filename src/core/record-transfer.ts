/**
 * Journal records as one buffer that changes threads without being copied again: a table of numbers, then all bytes. The
 * buffer comes back with the answer and takes the next batch: memory that is new has to be emptied first, which for a large
 * batch took the thread that answers HTTP more than 5 ms in one piece.
 */
import type { DeliveredRecord } from './sink.ts';

/** sequence, count, metrics, from, to, bytes of the envelope, bytes of the payload. */
const FIELDS = 7;
/** Before the table: its records, and the bytes that all of it takes. */
const HEAD = 2;
/** Memory this many times as large as what comes next is given back to the system. */
const TOO_LARGE = 8;

export interface Packer {
  readonly pack: (records: readonly DeliveredRecord[]) => ArrayBuffer;
  /** A buffer is back from the other thread, which reads it no longer. */
  readonly takeBack: (buffer: ArrayBuffer | undefined) => void;
}

/** For one sink: one batch is under way at a time, so that one buffer is kept. */
export function createPacker(): Packer {
  let spare: ArrayBuffer | undefined;
  return {
    pack: (records) => {
      const memory = spare;
      spare = undefined;
      return packRecords(records, memory);
    },
    takeBack: (buffer) => {
      spare = buffer;
    },
  };
}

/** @param memory is used where it is large enough, and not far too large */
export function packRecords(records: readonly DeliveredRecord[], memory?: ArrayBuffer): ArrayBuffer {
  const tableBytes = (HEAD + records.length * FIELDS) * 8;
  let size = tableBytes;
  for (const { envelope, payload } of records) size += envelope.byteLength + payload.byteLength;
  const fits = memory !== undefined && memory.byteLength >= size && memory.byteLength <= size * TOO_LARGE;
  const buffer = fits ? memory : new ArrayBuffer(size);
  const table = new Float64Array(buffer, 0, HEAD + records.length * FIELDS);
  const bytes = new Uint8Array(buffer);
  table[0] = records.length;
  table[1] = size;
  let at = tableBytes;
  let field = HEAD;
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

/** Bytes of the records and their table; the buffer may be larger. */
export const packedBytes = (buffer: ArrayBuffer): number => new Float64Array(buffer, 0, HEAD)[1]!;

/** The records again, as views of the buffer. */
export function* unpackRecords(buffer: ArrayBuffer): Generator<DeliveredRecord> {
  const [records = 0] = new Float64Array(buffer, 0, HEAD);
  const table = new Float64Array(buffer, HEAD * 8, records * FIELDS);
  let at = HEAD * 8 + table.byteLength;
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
