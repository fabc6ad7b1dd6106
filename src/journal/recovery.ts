/**
 * What can be read of a journal after whatever happened: reads all of it, verifies every CRC, finds its way behind
 * damage and counts what is missing. Changes nothing but an unfinished end of the last segment, which it cuts off.
 */
import { randomBytes } from 'node:crypto';
import type { JournalRecovery, Position } from '../core/journal.ts';
import type { FileOperations } from './file-operations.ts';
import { frameLength, type JournalId, journalId, SEGMENT_HEADER_BYTES } from './frame.ts';
import { findBases, findId, findSegmentFiles, isIntact, type SegmentFile, withFile } from './segment-files.ts';
import { newSegment, type Segment } from './segment.ts';
import { walk } from './walk.ts';

export interface Recovered extends Omit<JournalRecovery, 'durationMs'> {
  readonly id: JournalId;
  readonly segments: Segment[];
  readonly head: Position;
  /** The highest number that a file has; the next segment takes a higher one. */
  readonly lastOrdinal: number;
  /** True where the last segment ends with a whole record (or its header) and may be written on. */
  readonly appendable: boolean;
}

interface Account {
  records: number;
  metrics: number;
  lostMetrics: number;
  damagedBytes: number;
}

const ORIGIN: Position = { sequence: 0, count: 0 };
const CHUNK_BYTES = 4 * 1024 * 1024;

/** @throws Error where the directory cannot be read, or was written by a newer version; never for damage */
export async function recover(directory: string, files: FileOperations): Promise<Recovered> {
  const found = await findSegmentFiles(directory, files);
  const knownId = await findId(found, files);
  const id = journalId(knownId ?? randomBytes(8).toString('hex'));
  const bases = knownId === undefined ? [] : await findBases(found, id, files);
  const account: Account = { records: 0, metrics: 0, lostMetrics: 0, damagedBytes: 0 };
  const segments: Segment[] = [];
  let head: Position | undefined;
  for (const [at, file] of found.entries()) {
    const base = bases[at];
    if (base === undefined) {
      // Nothing in it can be read. It stays until its neighbours are trimmed, in case somebody wants to look.
      account.damagedBytes += file.size;
      segments.push({ ...newSegment(directory, file.ordinal, head ?? ORIGIN), bytes: file.size });
      continue;
    }
    head ??= base;
    account.lostMetrics += Math.max(0, base.count - head.count);
    const segment = newSegment(directory, file.ordinal, base.sequence > head.sequence ? base : head);
    // Where a later segment begins, everything beyond in the ones before it was refused: its write had failed. Only a
    // header can say so: one that is guessed from a record might belong to a copy.
    const next = found.slice(at + 1).find((later) => isIntact(later, id.text));
    const limit = next?.header?.base.sequence ?? Number.POSITIVE_INFINITY;
    await readSegment(segment, file, limit, id, account, files);
    head = segment.last;
    segments.push(segment);
  }
  const lastFile = found.at(-1);
  const lastSegment = segments.at(-1);
  const writable = lastFile !== undefined && bases.length > 0 && isIntact(lastFile, id.text);
  return {
    ...account,
    id,
    created: knownId === undefined,
    segments,
    head: head ?? ORIGIN,
    lastOrdinal: lastFile?.ordinal ?? 0,
    appendable: writable && lastSegment !== undefined && (await cutTail(lastSegment, files)),
  };
}

/** Fills in the segment's end, last position and index, and the account. */
function readSegment(
  segment: Segment,
  file: SegmentFile,
  limit: number,
  id: JournalId,
  account: Account,
  files: FileOperations,
): Promise<void> {
  segment.bytes = file.size;
  if (!isIntact(file, id.text)) account.damagedBytes += Math.min(SEGMENT_HEADER_BYTES, file.size);
  return withFile(files, file.path, async (opened) => {
    const range = { from: SEGMENT_HEADER_BYTES, to: file.size, id, after: segment.base.sequence };
    await walk(
      opened,
      { ...range, keep: false, chunkBytes: CHUNK_BYTES },
      {
        record: (frame, offset) => {
          if (frame.sequence > limit) return false;
          account.lostMetrics += Math.max(0, frame.count - frame.metrics - segment.last.count);
          account.records += 1;
          account.metrics += frame.metrics;
          segment.last = { sequence: frame.sequence, count: frame.count };
          segment.end = offset + frameLength(frame);
          segment.index.add(frame.sequence, offset);
          return true;
        },
        damage: (from, to) => {
          account.damagedBytes += to - from;
        },
      },
    );
  });
}

/** @returns true where the segment now ends with its last record, so that more may follow */
async function cutTail(segment: Segment, files: FileOperations): Promise<boolean> {
  if (segment.end === segment.bytes) return true;
  try {
    const file = await files.open(segment.path, 'append');
    try {
      await file.truncate(segment.end);
    } finally {
      await file.close();
    }
  } catch {
    // A disk that cannot be written now: the next record begins a new segment.
    return false;
  }
  segment.bytes = segment.end;
  return true;
}
