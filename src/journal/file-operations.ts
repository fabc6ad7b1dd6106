/** What the segmented log asks of a file system: a seam so that tests can make a disk fail. */
import fs from 'node:fs';
import { open, readdir, statfs, unlink } from 'node:fs/promises';
import { dirname } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { makeDirectory, syncDirectory } from '../core/files.ts';

export interface JournalFile {
  /** @returns bytes read; 0 at the end */
  readonly read: (into: Uint8Array, position: number) => Promise<number>;
  /** Durable once resolved. @returns bytes written, which may be fewer than given */
  readonly write: (buffers: readonly Uint8Array[], position: number) => Promise<number>;
  /** Durable once resolved. */
  readonly truncate: (length: number) => Promise<void>;
  readonly size: () => Promise<number>;
  readonly close: () => Promise<void>;
}

/** `create` fails where the file exists; `read` is for reading alone. */
export type OpenMode = 'read' | 'append' | 'create';

export interface FileOperations {
  readonly open: (path: string, mode: OpenMode) => Promise<JournalFile>;
  /** The name goes first, then the space, little by little: all of it once resolved. */
  readonly remove: (path: string) => Promise<void>;
  readonly makeDirectory: (path: string) => Promise<void>;
  /** Makes new names and removals durable. */
  readonly syncDirectory: (path: string) => Promise<void>;
  readonly list: (path: string) => Promise<readonly string[]>;
  /** Bytes that this process may still write on the file system that `path` lies on. */
  readonly freeBytes: (path: string) => Promise<number>;
}

const { O_CREAT, O_EXCL, O_RDWR, O_RDONLY } = fs.constants;
/** On Linux every write returns once data and size are on disk: one system call instead of two. */
const O_DSYNC = process.platform === 'linux' ? fs.constants.O_DSYNC : 0;

const FLAGS: Readonly<Record<OpenMode, number>> = {
  read: O_RDONLY,
  append: O_RDWR | O_DSYNC,
  create: O_RDWR | O_CREAT | O_EXCL | O_DSYNC,
};

export const realFiles: FileOperations = {
  open: async (path, mode) => {
    // The journal holds request bodies: nobody but its owner reads it.
    const handle = await open(path, FLAGS[mode], 0o600);
    return {
      read: async (into, position) => (await handle.read(into, 0, into.length, position)).bytesRead,
      write: (buffers, position) => writeDurably(handle.fd, buffers, position),
      truncate: async (length) => {
        await handle.truncate(length);
        await handle.sync();
      },
      size: async () => (await handle.stat()).size,
      close: () => handle.close(),
    };
  },
  remove: removeGently,
  makeDirectory,
  syncDirectory,
  list: (path) => readdir(path),
  freeBytes: async (path) => {
    const { bavail, bsize } = await statfs(path);
    return bavail * bsize;
  },
};

/** What is freed in one step. 64 MiB at once kept ext4 from writing for 70 ms where it discards blocks; this takes 3. */
const FREED_AT_ONCE = 2 * 1024 * 1024;
const PAUSE_MS = 10;

/** Takes the name away, and the blocks behind it little by little: whoever appends meanwhile hardly waits. */
async function removeGently(path: string): Promise<void> {
  const handle = await open(path, 'r+').catch(() => undefined);
  try {
    await unlink(path);
    if (handle === undefined) return;
    const { size } = await handle.stat();
    if (size <= FREED_AT_ONCE) return;
    // Should the power fail, the file is there whole or not at all.
    await syncDirectory(dirname(path));
    for (let left = size - FREED_AT_ONCE; left > 0; left -= FREED_AT_ONCE) {
      // Where this fails the rest goes when the file is closed.
      await handle.truncate(left).catch(() => {});
      await setTimeout(PAUSE_MS);
    }
  } finally {
    await handle?.close();
  }
}

/** By callback and file descriptor: this is the hot path, and a FileHandle's promise costs twice as much. */
function writeDurably(fd: number, buffers: readonly Uint8Array[], position: number): Promise<number> {
  return new Promise((resolve, reject) => {
    fs.writev(fd, buffers, position, (error, bytesWritten) => {
      if (error) reject(error);
      else if (O_DSYNC !== 0) resolve(bytesWritten);
      else fs.fdatasync(fd, (syncError) => (syncError ? reject(syncError) : resolve(bytesWritten)));
    });
  });
}
