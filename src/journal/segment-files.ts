/** What files a journal's directory holds, which journal they belong to, and where each one's records begin. */
import type { Position } from '../core/journal.ts';
import type { FileOperations, JournalFile } from './file-operations.ts';
import {
  decodeSegmentHeader,
  FORMAT_VERSION,
  frameId,
  type JournalId,
  SEGMENT_HEADER_BYTES,
  type SegmentHeader,
} from './frame.ts';
import { segmentOrdinal, segmentPath } from './segment.ts';
import { walk } from './walk.ts';

export interface SegmentFile {
  readonly ordinal: number;
  readonly path: string;
  readonly size: number;
  /** Undefined where it is damaged. It may still be that of a copied file, or of another journal. */
  readonly header: SegmentHeader | undefined;
}

/**
 * In the order of writing.
 * @throws Error where a file was written by a newer version: nothing may be cut off or appended to it
 */
export async function findSegmentFiles(directory: string, files: FileOperations): Promise<SegmentFile[]> {
  const ordinals = (await files.list(directory))
    .map(segmentOrdinal)
    .filter((ordinal) => ordinal !== undefined)
    .toSorted((a, b) => a - b);
  const found: SegmentFile[] = [];
  for (const ordinal of ordinals) {
    const path = segmentPath(directory, ordinal);
    const opened = await withFile(files, path, readHeader).catch((error: NodeJS.ErrnoException) => {
      // Trimmed since the directory was read, where a running gateway's journal is looked at.
      if (error.code !== 'ENOENT') throw error;
    });
    if (opened === undefined) continue;
    const { size, header } = opened;
    if (header !== undefined && header.version > FORMAT_VERSION) {
      throw new Error(
        `${path} is a journal of format ${header.version}; this version reads up to ${FORMAT_VERSION}. ` +
          'Start the newer version of the gateway that wrote it, or move the journal directory away to begin a new one.',
      );
    }
    found.push({ ordinal, path, size, header });
  }
  return found;
}

async function readHeader(file: JournalFile): Promise<Pick<SegmentFile, 'size' | 'header'>> {
  const size = await file.size();
  const bytes = Buffer.alloc(SEGMENT_HEADER_BYTES);
  try {
    for (let done = 0; done < bytes.length;) {
      const read = await file.read(bytes.subarray(done), done);
      if (read === 0) break;
      done += read;
    }
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EIO') throw error;
  }
  return { size, header: decodeSegmentHeader(bytes) };
}

/** True where the header can be read, and belongs to this journal and to a file of this number. */
export const isIntact = (file: SegmentFile, id: string): boolean =>
  file.header?.ordinal === file.ordinal && file.header.id === id;

/** The newest readable header's id, else the newest readable frame's; undefined where nothing can be read. */
export async function findId(found: readonly SegmentFile[], files: FileOperations): Promise<string | undefined> {
  for (const file of found.toReversed()) {
    if (file.header?.ordinal === file.ordinal) return file.header.id;
  }
  for (const file of found.toReversed()) {
    const first = await findFirst(file, undefined, files);
    if (first !== undefined) return first.id;
  }
  return undefined;
}

/** For each file the position before its first record; undefined where nothing of this journal can be read in it. */
export async function findBases(
  found: readonly SegmentFile[],
  id: JournalId,
  files: FileOperations,
): Promise<(Position | undefined)[]> {
  const bases: (Position | undefined)[] = [];
  for (const file of found) {
    if (file.header === undefined) bases.push((await findFirst(file, id, files))?.base);
    // A copy under another name, or of another journal: what it holds has its place elsewhere.
    else bases.push(isIntact(file, id.text) ? file.header.base : undefined);
  }
  return bases;
}

/** The first record that can be read, by the position before it. */
function findFirst(
  file: SegmentFile,
  id: JournalId | undefined,
  files: FileOperations,
): Promise<{ base: Position; id: string } | undefined> {
  return withFile(files, file.path, async (opened) => {
    let found: { base: Position; id: string } | undefined;
    await walk(
      opened,
      { from: 0, to: file.size, id, after: 0, keep: false },
      {
        record: ({ sequence, count, metrics }, _offset, chunk, at) => {
          found = { base: { sequence: sequence - 1, count: count - metrics }, id: frameId(chunk, at) };
          return false;
        },
      },
    );
    return found;
  });
}

/** Opens for reading and closes again, whatever happens. */
export async function withFile<T>(
  files: FileOperations,
  path: string,
  use: (file: JournalFile) => Promise<T>,
): Promise<T> {
  const file = await files.open(path, 'read');
  try {
    return await use(file);
  } finally {
    await file.close();
  }
}
