/**
 * The journal on disk: a segmented append-only log with group commit. All appends that arrive while one write is under
 * way form the next one, so that the disk is asked once for all of them. docs/journal-format.md has the byte layout.
 */
import type { Journal, JournalEntry, JournalRecord, JournalRecovery, Position } from '../core/journal.ts';
import type { Clock, Log, Telemetry } from '../core/ports.ts';
import type { Refusal } from '../core/refusal.ts';
import { diskProbe } from './disk-probe.ts';
import { type FileOperations, realFiles } from './file-operations.ts';
import { FRAME_BYTES, SEGMENT_HEADER_BYTES } from './frame.ts';
import { type Group, newGroup } from './group.ts';
import { registerJournalMetrics } from './journal-metrics.ts';
import { readRecords } from './reader.ts';
import { recover } from './recovery.ts';
import { journalClosed, journalFailed, journalFull, queueFull, recordTooLarge } from './refusals.ts';
import { newSegmentWriter } from './segment-writer.ts';
import type { Segment } from './segment.ts';

export interface SegmentedLogOptions {
  /** Made where it is missing. One process at a time: see `lockDirectory`. */
  readonly directory: string;
  readonly clock: Clock;
  readonly log: Log;
  /** Takes `mcp_gateway_journal_*`. */
  readonly telemetry?: Telemetry;
  /** Bytes on disk at most. Default 2 GiB, or four fifths of what the disk has where that is less. */
  readonly maxBytes?: number;
  /** A segment of this size is followed by a new one; trimming frees whole segments. Default 64 MiB, at most `maxBytes / 8`. */
  readonly segmentBytes?: number;
  /** Bytes that may wait for the disk in memory. Default 64 MiB. */
  readonly maxQueuedBytes?: number;
  /** After a failed write the disk is tried again this often. Default 1,000. */
  readonly probeIntervalMs?: number;
  /** The file system; tests put a failing one here. */
  readonly files?: FileOperations;
}

const DEFAULT_MAX_BYTES = 2 * 1024 ** 3;
const LEAST_MAX_BYTES = 16 * 1024 ** 2;
const DEFAULT_SEGMENT_BYTES = 64 * 1024 ** 2;
const DEFAULT_QUEUED_BYTES = 64 * 1024 ** 2;
/** Groups beyond that are left to the garbage collector: each holds a quarter of a megabyte. */
const IDLE_GROUPS = 4;

/**
 * Opens a journal, or begins one. Damage never makes it fail: what is readable is kept, and `recovery` says what is not.
 * @throws Error where the directory cannot be made or read, or was written by a newer version
 */
export async function openSegmentedLog(options: SegmentedLogOptions): Promise<Journal> {
  const { directory, clock } = options;
  const files = options.files ?? realFiles;
  const log = options.log.child({ part: 'journal' });
  const openedAt = clock.monotonic();
  await files.makeDirectory(directory);
  const recovered = await recover(directory, files);
  const { id, segments } = recovered;
  const recovery: JournalRecovery = {
    created: recovered.created,
    records: recovered.records,
    metrics: recovered.metrics,
    lostMetrics: recovered.lostMetrics,
    damagedBytes: recovered.damagedBytes,
    durationMs: clock.monotonic() - openedAt,
  };
  let heldBytes = sumBytes(segments);
  const maxBytes = options.maxBytes ?? (await defaultMaxBytes(directory, heldBytes, files));
  const segmentBytes = Math.min(options.segmentBytes ?? DEFAULT_SEGMENT_BYTES, Math.ceil(maxBytes / 8));
  const maxQueuedBytes = options.maxQueuedBytes ?? DEFAULT_QUEUED_BYTES;
  const writer = newSegmentWriter({
    directory,
    files,
    id: id.text,
    segments,
    segmentBytes,
    lastOrdinal: recovered.lastOrdinal,
    appendable: recovered.appendable,
    now: clock.now,
  });
  const probe = diskProbe({ directory, files, clock, log, intervalMs: options.probeIntervalMs ?? 1000 });

  /** Durable. */
  let head: Position = recovered.head;
  /** With what waits or is being written. */
  let promised: Position = head;
  let open: Group = newGroup();
  const sealed: Group[] = [];
  const idle: Group[] = [];
  /** Bytes in groups that are not yet durable: they already count against the limit. */
  let queuedBytes = 0;
  let running: Promise<void> | undefined;
  let scheduled = false;
  let closed = false;
  let trims: Promise<void> = Promise.resolve();
  const metrics = registerJournalMetrics(options.telemetry, { recovery, size: () => ({ bytes: heldBytes, maxBytes }) });

  function refuse(length: number): Refusal | undefined {
    if (closed) return journalClosed();
    const trouble = probe.trouble();
    if (trouble !== undefined) return journalFailed(trouble);
    if (length + 2 * SEGMENT_HEADER_BYTES > maxBytes) return recordTooLarge(length, maxBytes);
    if (heldBytes + queuedBytes + length + SEGMENT_HEADER_BYTES > maxBytes) return journalFull(heldBytes, maxBytes);
    // A single record may be larger than the queue.
    if (queuedBytes > 0 && queuedBytes + length > maxQueuedBytes) return queueFull(queuedBytes);
    return undefined;
  }

  function append(entry: JournalEntry): Promise<JournalRecord> {
    const length = FRAME_BYTES + entry.envelope.length + entry.payload.length;
    const refusal = refuse(length);
    if (refusal !== undefined) return Promise.reject(refusal);
    const record: JournalRecord = {
      sequence: promised.sequence + 1,
      count: promised.count + entry.metrics,
      metrics: entry.metrics,
      envelope: entry.envelope,
      payload: entry.payload,
    };
    promised = record;
    queuedBytes += length;
    return new Promise((resolve, reject) => {
      if (!open.add(record, id, resolve, reject)) {
        sealed.push(open);
        open = idle.pop() ?? newGroup();
        open.add(record, id, resolve, reject);
      }
      schedule();
    });
  }

  /** Not at once: requests that arrived in the same turn of the event loop share the write. */
  function schedule(): void {
    if (scheduled || running !== undefined) return;
    scheduled = true;
    setImmediate(() => {
      scheduled = false;
      if (running === undefined && (sealed.length > 0 || open.records.length > 0)) running = commitAll();
    });
  }

  async function commitAll(): Promise<void> {
    for (let group = nextGroup(); group !== undefined; group = nextGroup()) {
      await commit(group);
    }
    running = undefined;
  }

  function nextGroup(): Group | undefined {
    const group = sealed.shift();
    if (group !== undefined || open.records.length === 0) return group;
    const taken = open;
    open = idle.pop() ?? newGroup();
    return taken;
  }

  async function commit(group: Group): Promise<void> {
    group.seal();
    const bytes = group.bytes();
    const last = group.records.at(-1)!;
    const position = { sequence: last.sequence, count: last.count };
    const startedAt = clock.monotonic();
    try {
      await writer.write(group.buffers, bytes, head, position);
    } catch (error) {
      fail([group], error as Error);
      return;
    }
    metrics.committed(clock.monotonic() - startedAt, group.records.length, bytes);
    heldBytes = sumBytes(segments);
    queuedBytes -= bytes;
    head = position;
    group.resolve();
    reuse(group);
  }

  /** Refuses everything that waits: its numbers are given out again, and the disk would most likely fail it too. */
  function fail(written: readonly Group[], error: Error): void {
    metrics.failed();
    heldBytes = sumBytes(segments);
    const trouble = probe.failed(error);
    const refusal = journalFailed(trouble, error);
    const refused = [...written, ...sealed, open];
    sealed.length = 0;
    open = newGroup();
    promised = head;
    queuedBytes = 0;
    for (const one of refused) {
      one.reject(refusal);
      reuse(one);
    }
  }

  function reuse(group: Group): void {
    group.reset();
    if (idle.length < IDLE_GROUPS) idle.push(group);
  }

  async function trim(through: number): Promise<void> {
    while (segments.length > 0 && segments[0]!.last.sequence <= through) {
      if (segments.length === 1 && !(await replaceLast())) return;
      const [oldest] = segments as [Segment];
      try {
        await files.remove(oldest.path);
        // One by one, oldest first: after a power cut there must be no hole between the segments that are left.
        await files.syncDirectory(directory);
      } catch (error) {
        log.warn({ path: oldest.path, err: error }, 'a delivered journal segment cannot be removed; it stays for now');
        return;
      }
      segments.shift();
      heldBytes = sumBytes(segments);
    }
  }

  /** The last segment says where the journal stands: before it may go, an empty one follows it. */
  async function replaceLast(): Promise<boolean> {
    if (segments[0]!.end < segmentBytes || running !== undefined || scheduled || probe.trouble() !== undefined) {
      return false;
    }
    running = beginSegment().then(commitAll);
    await running;
    return segments.length > 1;
  }

  /** An empty segment: its header alone says which journal this is, and where it stands. */
  async function beginSegment(): Promise<void> {
    try {
      await writer.write([], 0, head, head);
      heldBytes = sumBytes(segments);
    } catch (error) {
      fail([], error as Error);
    }
  }

  // The id has to be on disk before anybody stores a checkpoint that names it.
  if (segments.length === 0) await beginSegment();

  return {
    id: id.text,
    recovery,
    tail: () => segments[0]?.base ?? head,
    head: () => head,
    append,
    read: (after, limit) => readRecords(segments, id, after, head.sequence, limit, files, tellDamage),
    trim: (through) => {
      trims = trims.then(() => trim(through));
      return trims;
    },
    size: () => ({ bytes: heldBytes + queuedBytes, maxBytes }),
    trouble: probe.trouble,
    close: async () => {
      closed = true;
      await probe.stop();
      await trims;
      while (running !== undefined || scheduled) await (running ?? new Promise(setImmediate));
      await writer.close();
    },
  };

  function tellDamage(segment: Segment, from: number, to: number): void {
    if (segment.damageTold) return;
    segment.damageTold = true;
    log.warn({ path: segment.path, from, to }, 'a stretch of the journal cannot be read; readers pass over it');
  }
}

const sumBytes = (segments: readonly Segment[]): number => segments.reduce((sum, { bytes }) => sum + bytes, 0);

async function defaultMaxBytes(directory: string, heldBytes: number, files: FileOperations): Promise<number> {
  const available = (await files.freeBytes(directory)) + heldBytes;
  return Math.max(LEAST_MAX_BYTES, Math.min(DEFAULT_MAX_BYTES, Math.floor(available * 0.8)));
}
