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
  const placed =
    knownId === undefined ? found.map((file) => ({ file, base: undefined })) : await place(found, id, files);
  const account: Account = { records: 0, metrics: 0, lostMetrics: 0, damagedBytes: 0 };
  const segments: Segment[] = [];
  let head: Position | undefined;
  for (const [at, { file, base }] of placed.entries()) {
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
    // header can say so: a base that is guessed from a record might belong to a copy.
    const next = placed.slice(at + 1).find((later) => isIntact(later.file, id.text));
    await readSegment(segment, file, next?.base?.sequence ?? Number.POSITIVE_INFINITY, id, account, files);
    head = segment.last;
    segments.push(segment);
  }
  const lastFile = found.at(-1);
  const lastSegment = segments.at(-1);
  const writable = lastFile !== undefined && lastFile === placed.at(-1)?.file && isIntact(lastFile, id.text);
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

interface Placed {
  readonly file: SegmentFile;
  /** The position before its first record; undefined where nothing in it can be read. */
  readonly base: Position | undefined;
}

/** In the order of what they hold, which is that of their numbers unless somebody copied files about. */
async function place(found: readonly SegmentFile[], id: JournalId, files: FileOperations): Promise<Placed[]> {
  const bases = await findBases(found, id, files);
  let key = 0;
  return found
    .map((file, at) => ({ file, base: bases[at], key: (key = bases[at]?.sequence ?? key) }))
    .toSorted((a, b) => a.key - b.key || a.file.ordinal - b.file.ordinal);
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
  // Behind a damaged header the records may begin anywhere.
  const from = isIntact(file, id.text) ? SEGMENT_HEADER_BYTES : 0;
  return withFile(files, file.path, async (opened) => {
    const range = { from, to: file.size, id, after: segment.base.sequence };
    await walk(
      opened,
      { ...range, keep: false, chunkBytes: CHUNK_BYTES },
      {
        record: (frame, offset) => {
          if (frame.sequence > limit) {
            account.damagedBytes += file.size - offset;
            return false;
          }
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
