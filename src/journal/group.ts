/** Records that are written together: their frames, laid out in as few buffers as pay off, and who waits for them. */
import { crc32 } from 'node:zlib';
import type { JournalRecord } from '../core/journal.ts';
import type { Refusal } from '../core/refusal.ts';
import { encodeFrame, FRAME_BYTES, type JournalId } from './frame.ts';

/** Linux takes no more buffers in one `writev` (IOV_MAX). One is left for a segment header. */
const MAX_BUFFERS = 1023;
/** Bounds how long one write takes, and so how long the next group waits. */
const MAX_BYTES = 4 * 1024 * 1024;
const ARENA_BYTES = 256 * 1024;
/** Up to here copying is cheaper than one more buffer for the system call. */
const COPY_BYTES = 4096;

export interface Group {
  readonly buffers: Uint8Array[];
  readonly records: JournalRecord[];
  readonly bytes: () => number;
  /** @returns false where the record belongs into the next group; nothing was added then */
  readonly add: (record: JournalRecord, id: JournalId, resolve: Resolve, reject: Reject) => boolean;
  /** No more records: `buffers` is complete. */
  readonly seal: () => void;
  readonly resolve: () => void;
  readonly reject: (reason: Refusal) => void;
  /** Makes the group ready for other records. */
  readonly reset: () => void;
}

type Resolve = (record: JournalRecord) => void;
type Reject = (reason: Refusal) => void;

export function newGroup(): Group {
  const arena = Buffer.allocUnsafeSlow(ARENA_BYTES);
  /** The arena is used up to `used`; from `open` on it is not yet in `buffers`. */
  let used = 0;
  let open = 0;
  let bytes = 0;
  const buffers: Uint8Array[] = [];
  const records: JournalRecord[] = [];
  const resolves: Resolve[] = [];
  const rejects: Reject[] = [];

  function seal(): void {
    if (used > open) buffers.push(arena.subarray(open, used));
    open = used;
  }
  function place(part: Uint8Array): void {
    if (part.length <= COPY_BYTES) {
      arena.set(part, used);
      used += part.length;
    } else {
      seal();
      buffers.push(part);
    }
  }

  return {
    buffers,
    records,
    bytes: () => bytes,
    add: (record, id, resolve, reject) => {
      const { envelope, payload } = record;
      const length = FRAME_BYTES + envelope.length + payload.length;
      const full =
        used + FRAME_BYTES + 2 * COPY_BYTES > ARENA_BYTES ||
        buffers.length + 4 > MAX_BUFFERS ||
        bytes + length > MAX_BYTES;
      if (full && records.length > 0) return false;
      const at = used;
      used += FRAME_BYTES;
      encodeFrame(arena, at, id, {
        sequence: record.sequence,
        count: record.count,
        metrics: record.metrics,
        envelopeBytes: envelope.length,
        payloadBytes: payload.length,
        bodyCrc: crc32(payload, crc32(envelope)),
      });
      place(envelope);
      place(payload);
      bytes += length;
      records.push(record);
      resolves.push(resolve);
      rejects.push(reject);
      return true;
    },
    seal,
    resolve: () => {
      for (let at = 0; at < records.length; at += 1) resolves[at]!(records[at]!);
    },
    reject: (reason) => {
      for (const reject of rejects) reject(reason);
    },
    reset: () => {
      used = 0;
      open = 0;
      bytes = 0;
      buffers.length = 0;
      records.length = 0;
      resolves.length = 0;
      rejects.length = 0;
    },
  };
}
