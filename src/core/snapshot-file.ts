/**
 * Snapshots on disk: written whole or not at all, checked by CRC when read, the one before kept as a fallback.
 * A snapshot `totals` lies in `totals-<generation>.snapshot`; docs/journal-format.md has the layout.
 */
import { crc32 } from 'node:zlib';
import { type FileHandle, open, readdir, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { setImmediate } from 'node:timers/promises';
import { makeDirectory, syncDirectory } from './files.ts';

export interface Snapshot {
  /** Counts up with each write; a higher one is newer. */
  readonly generation: number;
  readonly bytes: Uint8Array;
}

export interface DamagedSnapshot {
  readonly path: string;
  readonly problem: string;
}

export interface SnapshotsFound {
  /** Valid ones only, newest first: none, one or two. */
  readonly snapshots: readonly Snapshot[];
  /** What was there and cannot be used; say so in the log. It goes at the second write from now. */
  readonly damaged: readonly DamagedSnapshot[];
}

const MAGIC = Buffer.from('MCPSNAP1', 'latin1');
/** Magic (8), body length (8), body CRC-32 (4), CRC-32 of these 20 bytes (4); little-endian. */
const HEADER_BYTES = 24;
/** A slice whose CRC takes well under a millisecond: the calling thread may be the one that answers HTTP. */
const SLICE_BYTES = 1024 * 1024;

/**
 * Writes the next generation: temporary file, fsync, rename, fsync of the directory. Then all but it and the newest
 * valid one before it are removed. One write per name at a time.
 * @param name lower-case letters, digits and `-`
 * @returns the generation written
 */
export async function writeSnapshot(
  directory: string,
  name: string,
  bytes: Uint8Array | readonly Uint8Array[],
): Promise<number> {
  const parts = bytes instanceof Uint8Array ? [bytes] : bytes;
  await makeDirectory(directory);
  const existing = await generations(directory, name);
  const generation = (existing[0] ?? 0) + 1;
  const temporary = join(directory, `${name}.snapshot.tmp`);
  const file = await open(temporary, 'w');
  try {
    await writeAll(file, [await encodeHeader(parts), ...parts]);
    await file.sync();
  } finally {
    await file.close();
  }
  await rename(temporary, snapshotPath(directory, name, generation));
  await syncDirectory(directory);
  await removeAllButFirstValid(directory, name, existing);
  return generation;
}

/** Reads what `writeSnapshot` left. Never throws for damage or for a missing directory. */
export async function readSnapshots(directory: string, name: string): Promise<SnapshotsFound> {
  const snapshots: Snapshot[] = [];
  const damaged: DamagedSnapshot[] = [];
  for (const generation of await generations(directory, name)) {
    const path = snapshotPath(directory, name, generation);
    const found = await readSnapshot(path);
    if (typeof found === 'string') damaged.push({ path, problem: found });
    else snapshots.push({ generation, bytes: found });
  }
  return { snapshots, damaged };
}

const snapshotPath = (directory: string, name: string, generation: number): string =>
  join(directory, `${name}-${String(generation).padStart(10, '0')}.snapshot`);

/** Generations present, newest first. */
async function generations(directory: string, name: string): Promise<number[]> {
  let files: string[];
  try {
    files = await readdir(directory);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
    throw error;
  }
  const found: number[] = [];
  for (const file of files) {
    const match = /^(.+)-(\d{10,15})\.snapshot$/.exec(file);
    if (match?.[1] === name) found.push(Number(match[2]));
  }
  return found.toSorted((a, b) => b - a);
}

async function encodeHeader(parts: readonly Uint8Array[]): Promise<Buffer> {
  const header = Buffer.alloc(HEADER_BYTES);
  MAGIC.copy(header);
  let length = 0;
  let crc = 0;
  for (const part of parts) {
    length += part.length;
    crc = await crcInSlices(part, crc);
  }
  header.writeBigUInt64LE(BigInt(length), 8);
  header.writeUInt32LE(crc, 16);
  header.writeUInt32LE(crc32(header.subarray(0, 20)), 20);
  return header;
}

async function crcInSlices(bytes: Uint8Array, start: number): Promise<number> {
  let crc = start;
  for (let at = 0; at < bytes.length; at += SLICE_BYTES) {
    if (at > 0) await setImmediate();
    crc = crc32(bytes.subarray(at, at + SLICE_BYTES), crc);
  }
  return crc;
}

async function writeAll(file: FileHandle, parts: readonly Uint8Array[]): Promise<void> {
  for (const part of parts) {
    let done = 0;
    while (done < part.length) done += (await file.write(part, done)).bytesWritten;
  }
}

/** @returns the body, or what is wrong with the file */
async function readSnapshot(path: string): Promise<Uint8Array | string> {
  let file: FileHandle | undefined;
  try {
    file = await open(path, 'r');
    const bytes = await file.readFile();
    if (bytes.length < HEADER_BYTES) return `${bytes.length} bytes, shorter than its header`;
    if (!bytes.subarray(0, MAGIC.length).equals(MAGIC)) return 'does not begin with MCPSNAP1';
    if (crc32(bytes.subarray(0, 20)) !== bytes.readUInt32LE(20)) return 'the header does not match its CRC';
    const length = Number(bytes.readBigUInt64LE(8));
    const body = bytes.subarray(HEADER_BYTES);
    if (body.length !== length) return `holds ${body.length} bytes where its header says ${length}`;
    if ((await crcInSlices(body, 0)) !== bytes.readUInt32LE(16)) return 'the body does not match its CRC';
    return body;
  } catch (error) {
    return `cannot be read: ${(error as Error).message}`;
  } finally {
    await file?.close();
  }
}

/** @param candidates newest first, without the one just written */
async function removeAllButFirstValid(directory: string, name: string, candidates: readonly number[]): Promise<void> {
  let kept = false;
  for (const generation of candidates) {
    const path = snapshotPath(directory, name, generation);
    if (!kept && typeof (await readSnapshot(path)) !== 'string') kept = true;
    else await rm(path, { force: true });
  }
}
