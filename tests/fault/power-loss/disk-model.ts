/**
 * What a disk may hold after a power cut, from the log of recorder.c. As strict as POSIX lets a file system be: bytes
 * are safe once their file was synced or written with O_DSYNC, names once their directory was synced, and of all else
 * any part may be there or not, in any order.
 */
import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';

const KINDS = [
  '',
  'create',
  'write',
  'sync',
  'truncate',
  'rename',
  'unlink',
  'mkdir',
  'rmdir',
  'sync-directory',
] as const;

export interface Change {
  readonly kind: Exclude<(typeof KINDS)[number], ''>;
  readonly inode: bigint;
  readonly offset: number;
  readonly durable: boolean;
  readonly path: string;
  readonly other: string;
  readonly data: Buffer;
  /** Bytes of the log up to and with this change. */
  readonly end: number;
}

const HEAD_BYTES = 40;
const MAGIC = 0x52454344;

/** The changes of a log in their order; an unfinished last one is left out. */
export function readLog(log: Buffer): Change[] {
  const changes: Change[] = [];
  for (let at = 0; at + HEAD_BYTES <= log.length;) {
    if (log.readUInt32LE(at) !== MAGIC) throw new Error(`no record at byte ${at} of the log`);
    const kind = KINDS[log.readUInt32LE(at + 4)];
    const [pathBytes, otherBytes, dataBytes] = [28, 32, 36].map((field) => log.readUInt32LE(at + field)) as [
      number,
      number,
      number,
    ];
    const path = at + HEAD_BYTES;
    const data = path + pathBytes + otherBytes;
    const end = data + dataBytes;
    if (kind === undefined || kind === '') throw new Error(`an unknown change at byte ${at} of the log`);
    if (end > log.length) break;
    changes.push({
      kind,
      inode: log.readBigUInt64LE(at + 8),
      offset: Number(log.readBigUInt64LE(at + 16)),
      durable: log.readUInt32LE(at + 24) === 1,
      path: log.toString('utf8', path, path + pathBytes),
      other: log.toString('utf8', path + pathBytes, data),
      data: log.subarray(data, end),
      end,
    });
    at = end;
  }
  return changes;
}

type DataChange = { readonly offset: number; readonly data: Buffer | undefined };
interface File {
  content: Buffer;
  length: number;
  /** Since the last sync, in order. Without data: cut or extended to `offset`. */
  pending: DataChange[];
}
type Entry = File | 'directory';
type NameChange =
  | { readonly kind: 'add'; readonly path: string; readonly entry: Entry }
  | { readonly kind: 'remove'; readonly path: string }
  | { readonly kind: 'rename'; readonly path: string; readonly to: string };

/** Decides of each change that was not synced whether it reached the disk. */
export type Fate = () => boolean;

export interface Disk {
  readonly apply: (change: Change) => void;
  /** Files that are there after a power cut now, by path. */
  readonly image: (fate: Fate) => ReadonlyMap<string, Buffer>;
}

/** A write may be torn between sectors. */
const SECTOR_BYTES = 512;

export function newDisk(): Disk {
  /** Of the process: what it sees. */
  const names = new Map<string, Entry>([['', 'directory']]);
  const files = new Map<bigint, File>();
  /** Of the disk: what is safe. */
  const safe = new Map<string, Entry>([['', 'directory']]);
  let pendingNames: NameChange[] = [];

  const rename = (change: NameChange): void => {
    applyName(names, change);
    pendingNames.push(change);
  };
  const fileOf = ({ path, inode }: Change): File => {
    // A file that was there before the recording began.
    const file = files.get(inode);
    if (file !== undefined) return file;
    const created: File = { content: Buffer.alloc(0), length: 0, pending: [] };
    files.set(inode, created);
    names.set(path, created);
    safe.set(path, created);
    return created;
  };
  const settle = (file: File): void => {
    for (const change of file.pending) applyData(file, change);
    file.pending = [];
  };

  return {
    apply: (change) => {
      const { kind, path } = change;
      switch (kind) {
        case 'create': {
          const file: File = { content: Buffer.alloc(0), length: 0, pending: [] };
          // Inode numbers are used again.
          files.set(change.inode, file);
          return rename({ kind: 'add', path, entry: file });
        }
        case 'write': {
          const file = fileOf(change);
          const written = { offset: change.offset, data: change.data };
          // O_DSYNC makes this write safe, and the length that it needs; what was written before it without stays open.
          if (change.durable && file.pending.length === 0) applyData(file, written);
          else file.pending.push(written);
          return;
        }
        case 'truncate':
          fileOf(change).pending.push({ offset: change.offset, data: undefined });
          return;
        case 'sync':
          return settle(fileOf(change));
        case 'mkdir':
          return rename({ kind: 'add', path, entry: 'directory' });
        case 'unlink':
        case 'rmdir':
          return rename({ kind: 'remove', path });
        case 'rename':
          return rename({ kind: 'rename', path, to: change.other });
        case 'sync-directory': {
          const directory = path === '' ? '.' : path;
          const inside = pendingNames.filter((pending) => dirname(pending.path) === directory);
          for (const pending of inside) applyName(safe, pending);
          pendingNames = pendingNames.filter((pending) => !inside.includes(pending));
        }
      }
    },
    image: (fate) => {
      const there = new Map(safe);
      for (const change of pendingNames) if (fate()) applyName(there, change);
      const image = new Map<string, Buffer>();
      for (const [path, entry] of there) {
        if (entry === 'directory' || !isReachable(path, there)) continue;
        const copy: File = { content: Buffer.from(entry.content), length: entry.length, pending: [] };
        for (const change of entry.pending) for (const part of tear(change)) if (fate()) applyData(copy, part);
        image.set(path, copy.content.subarray(0, copy.length));
      }
      return image;
    },
  };
}

function applyName(names: Map<string, Entry>, change: NameChange): void {
  if (change.kind === 'add') names.set(change.path, change.entry);
  else if (change.kind === 'remove') names.delete(change.path);
  else {
    const entry = names.get(change.path);
    if (entry === undefined) return;
    names.delete(change.path);
    names.set(change.to, entry);
  }
}

function applyData(file: File, { offset, data }: DataChange): void {
  const end = data === undefined ? offset : offset + data.length;
  if (end > file.content.length) {
    const larger = Buffer.alloc(Math.max(end, file.content.length * 2));
    file.content.copy(larger, 0, 0, file.length);
    file.content = larger;
  }
  if (data === undefined) {
    // What lies beyond a cut reads as zeros when the file grows again.
    file.content.fill(0, Math.min(offset, file.length), Math.max(offset, file.length));
    file.length = offset;
  } else {
    data.copy(file.content, offset);
    file.length = Math.max(file.length, end);
  }
}

function* tear({ offset, data }: DataChange): Generator<DataChange> {
  if (data === undefined) {
    yield { offset, data };
    return;
  }
  for (let at = 0; at < data.length;) {
    const length = Math.min(SECTOR_BYTES - ((offset + at) % SECTOR_BYTES), data.length - at);
    yield { offset: offset + at, data: data.subarray(at, at + length) };
    at += length;
  }
}

function isReachable(path: string, names: ReadonlyMap<string, Entry>): boolean {
  for (let at = dirname(path); at !== '.'; at = dirname(at)) if (names.get(at) !== 'directory') return false;
  return true;
}

/** Writes an image into an empty directory. */
export function restoreImage(directory: string, image: ReadonlyMap<string, Buffer>): void {
  for (const [path, bytes] of image) {
    mkdirSync(dirname(join(directory, path)), { recursive: true });
    writeFileSync(join(directory, path), bytes);
  }
}
