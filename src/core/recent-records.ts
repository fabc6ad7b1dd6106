/**
 * The journal's newest records, kept in memory so that deliveries that keep up never read a disk. A delivery that has
 * fallen behind what memory may hold reads the journal instead.
 */
import type { Journal, JournalEntry, JournalRecord, Position } from './journal.ts';
import type { Clock } from './ports.ts';
import { createSlabs, type Slab } from './slabs.ts';

/** A durable record and when it became so. */
interface Recent {
  readonly record: JournalRecord;
  readonly slab: Slab | undefined;
  /** Monotonic milliseconds. */
  readonly at: number;
}

/** Records whose bytes stay as they are until they are given back; for good, if they never are. */
export interface Loan {
  readonly records: readonly JournalRecord[];
  /** Call it once, when nothing looks at the bytes any longer. */
  readonly giveBack: () => void;
}

export interface RecentRecords {
  /** Appends to the journal; resolves once durable, after which deliveries see it. The entry's bytes are copied at once. */
  readonly append: (entry: JournalEntry) => Promise<JournalRecord>;
  /** Up to about `maxMetrics` metrics after `after`, from memory or from disk; empty at the head. */
  readonly read: (after: Position, maxMetrics: number) => Promise<Loan>;
  readonly head: () => Position;
  /** The position before the oldest record that the journal still holds. */
  readonly tail: () => Position;
  /** Monotonic time at which the record after `sequence` became durable; undefined where memory no longer knows. */
  readonly since: (sequence: number) => number | undefined;
  /** Calls back after every append; returns the way to stop that. */
  readonly onAppend: (listener: (record: JournalRecord) => void) => () => void;
  /** No delivery needs what lies up to and with `sequence` any more. */
  readonly release: (sequence: number) => void;
  readonly bytes: () => number;
}

/** Bytes per read from disk: enough to be quick, small enough to be held by every lagging sink at once. */
const READ_BYTES = 4 * 1024 * 1024;

/** @param maxBytes of records in memory; the oldest go first */
export function createRecentRecords(journal: Journal, clock: Clock, maxBytes: number): RecentRecords {
  /** From `start` on; those before are dropped, and leave an empty place until the array is cut. */
  let recent: (Recent | undefined)[] = [];
  let start = 0;
  let bytes = 0;
  const listeners = new Set<(record: JournalRecord) => void>();
  const slabs = createSlabs();

  const size = (record: JournalRecord): number => record.envelope.byteLength + record.payload.byteLength;
  const first = (): number | undefined => recent[start]?.record.sequence;

  const dropOldest = (): void => {
    const oldest = recent[start];
    if (oldest === undefined) return;
    bytes -= size(oldest.record);
    if (oldest.slab !== undefined) slabs.leave(oldest.slab);
    recent[start] = undefined;
    start += 1;
    if (start > 1024 && start * 2 > recent.length) {
      recent = recent.slice(start);
      start = 0;
    }
  };

  const remember = (record: JournalRecord, slab: Slab | undefined): void => {
    const newest = recent.at(-1);
    if (newest !== undefined && record.sequence !== newest.record.sequence + 1)
      while (start < recent.length) dropOldest();
    recent.push({ record, slab, at: clock.monotonic() });
    bytes += size(record);
    while (bytes > maxBytes && start < recent.length) dropOldest();
  };

  return {
    append: async (entry) => {
      const { entry: kept, slab } = slabs.keep(entry);
      let record: JournalRecord;
      try {
        record = await journal.append(kept);
      } catch (error) {
        if (slab !== undefined) slabs.leave(slab);
        throw error;
      }
      remember(record, slab);
      for (const listener of listeners) listener(record);
      return record;
    },
    read: async (after, maxMetrics) => {
      const oldest = first();
      const newest = oldest === undefined ? undefined : recent.at(-1)?.record.sequence;
      // The newest record is in the journal a moment before it is here.
      if (oldest === undefined || newest === undefined || after.sequence + 1 < oldest || after.sequence >= newest) {
        const records = await journal.read(after.sequence, { maxBytes: READ_BYTES, maxMetrics });
        return { records, giveBack: () => {} };
      }
      const records: JournalRecord[] = [];
      const lent: Slab[] = [];
      let metrics = 0;
      for (
        let index = start + (after.sequence + 1 - oldest);
        index < recent.length && metrics < maxMetrics;
        index += 1
      ) {
        const { record, slab } = recent[index]!;
        records.push(record);
        metrics += record.metrics;
        if (slab === undefined || slab === lent.at(-1)) continue;
        lent.push(slab);
        slabs.enter(slab);
      }
      return { records, giveBack: () => lent.forEach(slabs.leave) };
    },
    head: () => journal.head(),
    tail: () => journal.tail(),
    since: (sequence) => {
      const oldest = first();
      return oldest === undefined || sequence + 1 < oldest ? undefined : recent[start + (sequence + 1 - oldest)]?.at;
    },
    onAppend: (listener) => {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    release: (sequence) => {
      while ((first() ?? Number.POSITIVE_INFINITY) <= sequence) dropOldest();
    },
    bytes: () => bytes,
  };
}
