/**
 * One write at a time for everybody: all appends that arrive while a group is being written form the next one, so that
 * the disk is asked once for all of them.
 */
import type { JournalEntry, JournalRecord, Position } from '../core/journal.ts';
import type { Refusal } from '../core/refusal.ts';
import { FRAME_BYTES, type JournalId } from './frame.ts';
import { type Group, newGroup } from './group.ts';
import type { SegmentWriter } from './segment-writer.ts';

export interface GroupCommitOptions {
  readonly id: JournalId;
  /** The last durable position. */
  readonly head: Position;
  readonly writer: SegmentWriter;
  readonly onCommitted: (startedAt: number, records: number, bytes: number) => void;
  /** A write failed. @returns what everybody who waits is told */
  readonly onFailed: (error: Error) => Refusal;
  readonly monotonic: () => number;
}

export interface GroupCommit {
  /** The last durable position. */
  readonly head: () => Position;
  /** Bytes that are not yet durable. */
  readonly queuedBytes: () => number;
  /** Resolves once durable, in the order of calls. @throws Refusal */
  readonly append: (entry: JournalEntry) => Promise<JournalRecord>;
  /** Writes an empty segment, whose header alone says which journal this is and where it stands. */
  readonly beginSegment: () => Promise<void>;
  readonly isIdle: () => boolean;
  /** Resolves once nothing waits any more. */
  readonly settled: () => Promise<void>;
}

/** Groups beyond that are left to the garbage collector: each holds a quarter of a megabyte. */
const SPARE_GROUPS = 4;

export function newGroupCommit(options: GroupCommitOptions): GroupCommit {
  const { id, writer } = options;
  /** Durable. */
  let head = options.head;
  /** With what waits or is being written. */
  let promised = head;
  let open = newGroup();
  const sealed: Group[] = [];
  const spare: Group[] = [];
  let queuedBytes = 0;
  let running: Promise<void> | undefined;
  let scheduled = false;

  /** Not at once: requests that arrived in the same turn of the event loop share the write. */
  function schedule(): void {
    if (scheduled || running !== undefined) return;
    scheduled = true;
    setImmediate(() => {
      scheduled = false;
      if (running === undefined && queuedBytes > 0) running = commitAll();
    });
  }

  async function commitAll(): Promise<void> {
    for (let group = next(); group !== undefined; group = next()) await commit(group);
    running = undefined;
  }

  function next(): Group | undefined {
    if (sealed.length > 0 || open.records.length === 0) return sealed.shift();
    const taken = open;
    open = spare.pop() ?? newGroup();
    return taken;
  }

  async function commit(group: Group): Promise<void> {
    group.seal();
    const bytes = group.bytes();
    const { sequence, count } = group.records.at(-1)!;
    const startedAt = options.monotonic();
    try {
      await writer.write(group.buffers, bytes, head, { sequence, count });
    } catch (error) {
      refuseAll([group], error as Error);
      return;
    }
    head = { sequence, count };
    queuedBytes -= bytes;
    options.onCommitted(startedAt, group.records.length, bytes);
    group.resolve();
    reuse(group);
  }

  /** Also what waits: its numbers are given out again, and the disk would most likely fail it too. */
  function refuseAll(written: readonly Group[], error: Error): void {
    const refusal = options.onFailed(error);
    const refused = [...written, ...sealed, open];
    sealed.length = 0;
    open = newGroup();
    promised = head;
    queuedBytes = 0;
    for (const group of refused) {
      group.reject(refusal);
      reuse(group);
    }
  }

  function reuse(group: Group): void {
    group.reset();
    if (spare.length < SPARE_GROUPS) spare.push(group);
  }

  async function beginSegment(): Promise<void> {
    try {
      await writer.write([], 0, head, head);
    } catch (error) {
      refuseAll([], error as Error);
    }
  }

  return {
    head: () => head,
    queuedBytes: () => queuedBytes,
    append: ({ envelope, payload, metrics }) => {
      const record = { sequence: promised.sequence + 1, count: promised.count + metrics, metrics, envelope, payload };
      promised = record;
      queuedBytes += FRAME_BYTES + envelope.length + payload.length;
      return new Promise((resolve, reject) => {
        if (!open.add(record, id, resolve, reject)) {
          sealed.push(open);
          open = spare.pop() ?? newGroup();
          open.add(record, id, resolve, reject);
        }
        schedule();
      });
    },
    beginSegment: () => {
      running = beginSegment().then(commitAll);
      return running;
    },
    isIdle: () => running === undefined && !scheduled,
    settled: async () => {
      while (running !== undefined || scheduled) await (running ?? new Promise((resolve) => setImmediate(resolve)));
    },
  };
}
