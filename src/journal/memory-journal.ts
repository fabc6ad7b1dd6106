/** A journal in memory, for `durability: "memory"`: the same interface and bounds, and nothing survives the process. */
import { randomBytes } from 'node:crypto';
import type { Journal, JournalEntry, JournalRecord, Position, ReadLimit } from '../core/journal.ts';
import { journalClosed, journalFull, recordTooLarge } from './refusals.ts';

export interface MemoryJournalOptions {
  /** Bytes held at most, waiting for the slowest sink. Default 256 MiB. */
  readonly maxBytes?: number;
}

/** What a record costs beyond its bytes, roughly: objects, promise, array slot. */
const RECORD_OVERHEAD_BYTES = 256;

export function openMemoryJournal(options: MemoryJournalOptions = {}): Journal {
  const maxBytes = options.maxBytes ?? 256 * 1024 * 1024;
  /** Records from `first` on are held; those before it are trimmed and wait for the array to be cut. */
  let records: (JournalRecord | undefined)[] = [];
  let first = 0;
  let bytes = 0;
  let tail: Position = { sequence: 0, count: 0 };
  let head: Position = tail;
  let closed = false;

  function accept(entry: JournalEntry): JournalRecord {
    if (closed) throw journalClosed();
    const size = sizeOf(entry);
    if (size > maxBytes) throw recordTooLarge(size, maxBytes);
    if (bytes + size > maxBytes) throw journalFull(bytes, maxBytes);
    const { metrics } = entry;
    const [envelope, payload] = [new Uint8Array(entry.envelope), new Uint8Array(entry.payload)];
    const record = { envelope, payload, metrics, sequence: head.sequence + 1, count: head.count + metrics };
    head = { sequence: record.sequence, count: record.count };
    bytes += size;
    records.push(record);
    return record;
  }

  function read(after: number, limit: ReadLimit): readonly JournalRecord[] {
    const found: JournalRecord[] = [];
    let readBytes = 0;
    let readMetrics = 0;
    for (let at = Math.max(first, first + after - tail.sequence); at < records.length; at += 1) {
      const record = records[at]!;
      readBytes += record.envelope.length + record.payload.length;
      readMetrics += record.metrics;
      if (found.length > 0 && (readBytes > limit.maxBytes || readMetrics > limit.maxMetrics)) break;
      found.push(record);
    }
    return found;
  }

  function trim(through: number): void {
    for (; first < records.length && records[first]!.sequence <= through; first += 1) {
      const record = records[first]!;
      records[first] = undefined;
      bytes -= sizeOf(record);
      tail = { sequence: record.sequence, count: record.count };
    }
    if (first > 1024 && first * 2 > records.length) {
      records = records.slice(first);
      first = 0;
    }
  }

  return {
    id: randomBytes(8).toString('hex'),
    recovery: { created: true, records: 0, metrics: 0, lostMetrics: 0, damagedBytes: 0, durationMs: 0 },
    tail: () => tail,
    head: () => head,
    append: (entry) => {
      try {
        return Promise.resolve(accept(entry));
      } catch (error) {
        return Promise.reject(error);
      }
    },
    read: (after, limit) => Promise.resolve(read(after, limit)),
    trim: (through) => {
      trim(through);
      return Promise.resolve();
    },
    size: () => ({ bytes, maxBytes }),
    trouble: () => undefined,
    close: () => {
      closed = true;
      return Promise.resolve();
    },
  };
}

const sizeOf = (entry: JournalEntry): number => entry.envelope.length + entry.payload.length + RECORD_OVERHEAD_BYTES;
