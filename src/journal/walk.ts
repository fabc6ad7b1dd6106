/**
 * Walks the frames of a segment and finds its way again behind damage: at the next frame magic whose header matches its
 * CRC. Recovery, reading and inspection all come here, so they cannot disagree about what is readable.
 */
import { crc32 } from 'node:zlib';
import type { JournalFile } from './file-operations.ts';
import { decodeFrame, type Frame, FRAME_BYTES, FRAME_MAGIC, type JournalId } from './frame.ts';

export interface WalkRange {
  readonly from: number;
  /** Nothing at or beyond is looked at. */
  readonly to: number;
  /** Undefined accepts frames of any journal. */
  readonly id: JournalId | undefined;
  /** Frames up to and with this sequence are stale copies and count as damage. */
  readonly after: number;
  /** True gives `record` views that nothing overwrites later. */
  readonly keep: boolean;
  readonly chunkBytes?: number;
}

export interface WalkVisitor {
  /** A record whose CRCs are right. Return false to stop behind it. */
  readonly record: (frame: Frame, offset: number, chunk: Buffer, at: number) => boolean;
  /** A stretch in which nothing could be read. */
  readonly damage?: (from: number, to: number) => void;
}

const CHUNK_BYTES = 1024 * 1024;
const PAGE_BYTES = 4096;

/** @returns the offset behind the last record that was visited; `from` where there was none */
export async function walk(file: JournalFile, range: WalkRange, visitor: WalkVisitor): Promise<number> {
  const { id, keep } = range;
  /** Smaller than the range once the file turns out to be. */
  let to = range.to;
  const chunkBytes = range.chunkBytes ?? CHUNK_BYTES;
  let chunk = Buffer.alloc(0);
  let chunkStart = range.from;
  /** Where the bytes of `chunk` end in the file. */
  let chunkEnd = range.from;
  let offset = range.from;
  let last = range.after;
  let goodEnd = range.from;
  let damagedFrom: number | undefined;

  /** Makes [offset, end) available, as far as the range goes. */
  async function load(end: number): Promise<void> {
    if (end <= chunkEnd && offset >= chunkStart) return;
    const length = Math.min(Math.max(end - offset, chunkBytes), to - offset);
    if (keep || chunk.length < length) chunk = Buffer.allocUnsafe(length);
    chunkStart = offset;
    const read = await readFully(file, chunk.subarray(0, length), offset);
    chunkEnd = offset + read;
    if (read < length) to = chunkEnd;
  }
  const frameAt = (position: number): Frame | undefined => {
    if (position + FRAME_BYTES > chunkEnd) return undefined;
    const frame = decodeFrame(chunk, position - chunkStart, id);
    return frame !== undefined && frame.sequence > last ? frame : undefined;
  };
  /** Moves on to the next place that may hold a frame. */
  const seek = (): void => {
    damagedFrom ??= offset;
    const found = chunk.subarray(0, chunkEnd - chunkStart).indexOf(FRAME_MAGIC, offset + 1 - chunkStart);
    offset = found >= 0 ? chunkStart + found : Math.max(offset + 1, chunkEnd - FRAME_MAGIC.length + 1);
  };

  while (to - offset >= FRAME_BYTES) {
    await load(offset + FRAME_BYTES);
    const frame = frameAt(offset);
    if (frame === undefined) {
      seek();
      continue;
    }
    const end = offset + FRAME_BYTES + frame.envelopeBytes + frame.payloadBytes;
    if (end > to) {
      seek();
      continue;
    }
    await load(end);
    const at = offset - chunkStart;
    if (end <= chunkEnd && crc32(chunk.subarray(at + FRAME_BYTES, end - chunkStart)) === frame.bodyCrc) {
      if (damagedFrom !== undefined) visitor.damage?.(damagedFrom, offset);
      damagedFrom = undefined;
      last = frame.sequence;
      const recordAt = offset;
      offset = end;
      goodEnd = end;
      if (!visitor.record(frame, recordAt, chunk, at)) return goodEnd;
      continue;
    }
    // The header is right and the body is not. Trust its length where the next frame follows; else bytes are missing, and
    // that frame begins earlier.
    await load(Math.min(end + FRAME_BYTES, to));
    if (frameAt(end)?.sequence !== frame.sequence + 1) {
      seek();
    } else {
      damagedFrom ??= offset;
      offset = end;
    }
  }
  if (goodEnd < range.to) visitor.damage?.(damagedFrom ?? goodEnd, range.to);
  return goodEnd;
}

/** Reads until `into` is full or the file ends. Pages that the disk cannot read become zeros: damage like any other. */
async function readFully(file: JournalFile, into: Buffer, position: number): Promise<number> {
  let done = 0;
  while (done < into.length) {
    let read: number;
    try {
      read = await file.read(into.subarray(done), position + done);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EIO') throw error;
      read = await readPage(
        file,
        into.subarray(done, done + PAGE_BYTES - ((position + done) % PAGE_BYTES)),
        position + done,
      );
    }
    if (read === 0) break;
    done += read;
  }
  return done;
}

async function readPage(file: JournalFile, into: Buffer, position: number): Promise<number> {
  try {
    return await file.read(into, position);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EIO') throw error;
    into.fill(0);
    return into.length;
  }
}
