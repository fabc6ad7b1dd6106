/**
 * The journal on disk: a segmented append-only log. Here its parts meet, its limits are kept and delivered segments go;
 * docs/journal-format.md has the byte layout.
 */
import type { Journal, JournalEntry, JournalRecord, JournalRecovery } from '../core/journal.ts';
import type { Clock, Log, Telemetry } from '../core/ports.ts';
import type { Refusal } from '../core/refusal.ts';
import { diskProbe } from './disk-probe.ts';
import { type FileOperations, realFiles } from './file-operations.ts';
import { FRAME_BYTES, SEGMENT_HEADER_BYTES } from './frame.ts';
import { newGroupCommit } from './group-commit.ts';
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
  const { id, segments, head, lastOrdinal, appendable, ...found } = await recover(directory, files);
  const recovery: JournalRecovery = { ...found, durationMs: clock.monotonic() - openedAt };
  tellRecovery(log, directory, recovery);
  /** Bytes of all segments: kept, since every append asks for it. */
  let heldBytes = sumBytes(segments);
  const maxBytes = options.maxBytes ?? (await defaultMaxBytes(directory, heldBytes, files));
  const segmentBytes = Math.min(options.segmentBytes ?? DEFAULT_SEGMENT_BYTES, Math.ceil(maxBytes / 8));
  const maxQueuedBytes = options.maxQueuedBytes ?? DEFAULT_QUEUED_BYTES;
  const probe = diskProbe({ directory, files, clock, log, intervalMs: options.probeIntervalMs ?? 1000 });
  const size = (): { bytes: number; maxBytes: number } => ({ bytes: heldBytes + commits.queuedBytes(), maxBytes });
  const metrics = registerJournalMetrics(options.telemetry, { recovery, size });
  const { now } = clock;
  const writer = newSegmentWriter({
    directory,
    files,
    id: id.text,
    segments,
    segmentBytes,
    lastOrdinal,
    appendable,
    now,
  });
  const commits = newGroupCommit({
    id,
    head,
    writer,
    monotonic: clock.monotonic,
    onCommitted: (startedAt, records, bytes) => {
      heldBytes = sumBytes(segments);
      metrics.committed(clock.monotonic() - startedAt, records, bytes);
    },
    onFailed: (error) => {
      heldBytes = sumBytes(segments);
      metrics.failed();
      return journalFailed(probe.failed(error), error);
    },
  });
  let closed = false;
  let trims: Promise<void> = Promise.resolve();

  function append(entry: JournalEntry): Promise<JournalRecord> {
    const refusal = refuse(FRAME_BYTES + entry.envelope.length + entry.payload.length);
    return refusal === undefined ? commits.append(entry) : Promise.reject(refusal);
  }

  function refuse(length: number): Refusal | undefined {
    if (closed) return journalClosed();
    const trouble = probe.trouble();
    if (trouble !== undefined) return journalFailed(trouble);
    if (length + 2 * SEGMENT_HEADER_BYTES > maxBytes) return recordTooLarge(length, maxBytes);
    const queuedBytes = commits.queuedBytes();
    // What waits has its place already, and may need a segment of its own.
    if (heldBytes + queuedBytes + length + SEGMENT_HEADER_BYTES > maxBytes) return journalFull(heldBytes, maxBytes);
    // A single record may be larger than the queue.
    if (queuedBytes > 0 && queuedBytes + length > maxQueuedBytes) return queueFull(queuedBytes);
    return undefined;
  }

  async function trim(through: number): Promise<void> {
    while (!closed && segments.length > 0 && segments[0]!.last.sequence <= through) {
      if (segments.length === 1 && !(await replaceLast())) return;
      const [oldest] = segments as [Segment];
      try {
        await files.remove(oldest.path);
        // One by one, oldest first: after a power cut there must be no hole between the segments that are left.
        await files.syncDirectory(directory);
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== 'ENOENT') {
          log.warn(
            { path: oldest.path, err: error },
            'a delivered journal segment cannot be removed; it stays for now',
          );
          return;
        }
      }
      segments.shift();
      heldBytes = sumBytes(segments);
    }
  }

  /** The last segment says where the journal stands: before it may go, an empty one follows it. */
  async function replaceLast(): Promise<boolean> {
    if (segments[0]!.end < segmentBytes || !commits.isIdle() || probe.trouble() !== undefined) return false;
    await commits.beginSegment();
    return segments.length > 1;
  }

  function tellDamage(segment: Segment, from: number, to: number): void {
    if (segment.damageTold) return;
    segment.damageTold = true;
    log.warn({ path: segment.path, from, to }, 'a stretch of the journal cannot be read; readers pass over it');
  }

  // The id has to be on disk before anybody stores a checkpoint that names it.
  if (segments.length === 0) await commits.beginSegment();
  heldBytes = sumBytes(segments);

  return {
    id: id.text,
    recovery,
    tail: () => segments.find(({ base, last }) => last.sequence > base.sequence)?.base ?? commits.head(),
    head: commits.head,
    append,
    read: (after, limit) => readRecords(segments, id, after, commits.head().sequence, limit, files, tellDamage),
    trim: (through) => {
      trims = trims.then(() => trim(through));
      return trims;
    },
    size,
    trouble: probe.trouble,
    close: async () => {
      closed = true;
      await probe.stop();
      await trims;
      await commits.settled();
      await writer.close();
    },
  };
}

function tellRecovery(log: Log, directory: string, recovery: JournalRecovery): void {
  const { lostMetrics, damagedBytes } = recovery;
  if (lostMetrics > 0 || damagedBytes > 0) {
    log.warn({ directory, ...recovery }, 'the journal is damaged: what could be read was recovered');
  } else {
    log.info({ directory, ...recovery }, recovery.created ? 'a new journal was begun' : 'the journal was read');
  }
}

const sumBytes = (segments: readonly Segment[]): number => segments.reduce((sum, { bytes }) => sum + bytes, 0);

async function defaultMaxBytes(directory: string, heldBytes: number, files: FileOperations): Promise<number> {
  const available = (await files.freeBytes(directory)) + heldBytes;
  return Math.max(LEAST_MAX_BYTES, Math.min(DEFAULT_MAX_BYTES, Math.floor(available * 0.8)));
}
