/**
 * Writes groups to the end of the log: begins a segment when the last one is large enough, and leaves nothing behind a
 * write that failed. One call at a time.
 */
import type { Position } from '../core/journal.ts';
import type { FileOperations, JournalFile } from './file-operations.ts';
import { encodeSegmentHeader, FORMAT_VERSION, SEGMENT_HEADER_BYTES } from './frame.ts';
import { newSegment, type Segment } from './segment.ts';

export interface SegmentWriterOptions {
  readonly directory: string;
  readonly files: FileOperations;
  readonly id: string;
  /** In order; new ones are added at the end. */
  readonly segments: Segment[];
  readonly segmentBytes: number;
  /** New segments take the numbers after it. */
  readonly lastOrdinal: number;
  /** True where the last of `segments` may be written on. */
  readonly appendable: boolean;
  readonly now: () => number;
}

export interface SegmentWriter {
  /**
   * Resolves once durable.
   * @param bytes the length of all buffers
   * @param before the position before the first record
   * @param last the position of the last record
   * @throws the file system's error. The records are on disk no more then; should even that have failed, a later
   * segment's base says that they do not count.
   */
  readonly write: (buffers: readonly Uint8Array[], bytes: number, before: Position, last: Position) => Promise<void>;
  readonly close: () => Promise<void>;
}

/** Errors that leave the file's earlier pages as they were. After any other the file is not written on. */
const HARMLESS = new Set(['ENOSPC', 'EDQUOT', 'EFBIG']);

export function newSegmentWriter(options: SegmentWriterOptions): SegmentWriter {
  const { directory, files, id, segments, segmentBytes, now } = options;
  let ordinal = options.lastOrdinal;
  let file: JournalFile | undefined;
  /** Once set, no earlier file may grow: a later one that failed could still lie behind it. */
  let mustRoll = !options.appendable;

  async function begin(buffers: readonly Uint8Array[], bytes: number, base: Position, last: Position): Promise<void> {
    mustRoll = true;
    ordinal += 1;
    const segment = newSegment(directory, ordinal, base);
    const header = encodeSegmentHeader({ id, version: FORMAT_VERSION, ordinal, base, createdAt: now() });
    let created: JournalFile | undefined;
    try {
      created = await files.open(segment.path, 'create');
      await writeAll(created, [header, ...buffers], SEGMENT_HEADER_BYTES + bytes, 0);
      await files.syncDirectory(directory);
    } catch (error) {
      await discard(created, segment.path);
      throw error;
    }
    const before = file;
    file = created;
    mustRoll = false;
    grow(segment, bytes, base, last);
    segments.push(segment);
    await quietly(() => before?.close());
  }

  async function append(
    bytes: number,
    buffers: readonly Uint8Array[],
    before: Position,
    last: Position,
  ): Promise<void> {
    const segment = segments.at(-1)!;
    try {
      file ??= await files.open(segment.path, 'append');
      await writeAll(file, buffers, bytes, segment.end);
    } catch (error) {
      await undo(segment, error as NodeJS.ErrnoException);
      throw error;
    }
    grow(segment, bytes, before, last);
  }

  async function undo(segment: Segment, error: NodeJS.ErrnoException): Promise<void> {
    if (!HARMLESS.has(error.code ?? '')) mustRoll = true;
    try {
      await file?.truncate(segment.end);
      segment.bytes = segment.end;
    } catch {
      mustRoll = true;
      segment.bytes = (await quietly(() => file?.size())) ?? segment.bytes;
    }
  }

  async function discard(created: JournalFile | undefined, path: string): Promise<void> {
    await quietly(() => created?.truncate(0));
    await quietly(() => created?.close());
    await quietly(() => files.remove(path));
  }

  return {
    write: (buffers, bytes, before, last) =>
      mustRoll || segments.at(-1)!.end >= segmentBytes
        ? begin(buffers, bytes, before, last)
        : append(bytes, buffers, before, last),
    close: async () => {
      await file?.close();
    },
  };
}

function grow(segment: Segment, bytes: number, before: Position, last: Position): void {
  if (bytes > 0) segment.index.add(before.sequence + 1, segment.end);
  segment.end += bytes;
  segment.bytes = segment.end;
  segment.last = last;
}

/** A write may end early without an error; the rest follows. */
async function writeAll(
  file: JournalFile,
  buffers: readonly Uint8Array[],
  bytes: number,
  position: number,
): Promise<void> {
  let rest = buffers;
  let done = await file.write(rest, position);
  while (done < bytes) {
    rest = behind(buffers, done);
    const written = await file.write(rest, position + done);
    if (written === 0) throw Object.assign(new Error('the disk takes no more bytes'), { code: 'ENOSPC' });
    done += written;
  }
}

function behind(buffers: readonly Uint8Array[], bytes: number): Uint8Array[] {
  let skip = bytes;
  const rest: Uint8Array[] = [];
  for (const buffer of buffers) {
    if (skip >= buffer.length) skip -= buffer.length;
    else {
      rest.push(buffer.subarray(skip));
      skip = 0;
    }
  }
  return rest;
}

/** For cleaning up behind an error that is already on its way to the caller. */
async function quietly<T>(action: () => Promise<T> | undefined): Promise<T | undefined> {
  try {
    return await action();
  } catch {
    return undefined;
  }
}
