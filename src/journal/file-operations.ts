/** What the segmented log asks of a file system: a seam so that tests can make a disk fail. */
import fs from 'node:fs';
import { open, readdir, statfs, unlink } from 'node:fs/promises';
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
  remove: (path) => unlink(path),
  makeDirectory,
  syncDirectory,
  list: (path) => readdir(path),
  freeBytes: async (path) => {
    const { bavail, bsize } = await statfs(path);
    return bavail * bsize;
  },
};

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
