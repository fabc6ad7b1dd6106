/**
 * A disk in memory that fails, runs full and loses power on command. What was not synced may or may not be there after
 * a power cut, sector by sector; names likewise until their directory was synced.
 */
import type { FileOperations, JournalFile } from '../../src/journal/file-operations.ts';

const SECTOR_BYTES = 512;

interface Inode {
  /** As a running process sees it. */
  data: Buffer;
  /** What a power cut surely leaves. */
  durable: Buffer;
}

/** What happens to the next write, and to how much of it. */
export interface WriteFault {
  /** `short`: fewer bytes than asked, no error. `power`: the machine goes off in the middle. */
  readonly kind: 'ENOSPC' | 'EIO' | 'EROFS' | 'short' | 'power';
  /** Share of the bytes that get through, 0 to 1. */
  readonly share: number;
  /** Truncating afterwards fails as well, and so does removing. */
  readonly noRepair?: boolean;
}

export interface SimulatedDisk {
  readonly files: FileOperations;
  /** Armed for the next write. */
  fault: WriteFault | undefined;
  /** True fails every write, as a full disk does. */
  full: boolean;
  /** True fails truncating and removing. */
  noRepair: boolean;
  /** The disk as it is after a power cut (or a kill, where nothing is lost). @param coin says which unsynced parts survive */
  readonly restart: (coin: () => boolean, power: boolean) => SimulatedDisk;
  /** Changes bytes behind the journal's back; undefined removes the file. */
  readonly edit: (path: string, change: (bytes: Buffer) => Buffer | undefined) => void;
  readonly put: (path: string, bytes: Buffer) => void;
  readonly paths: () => string[];
  readonly content: (path: string) => Buffer;
}

const failure = (code: string): Error => Object.assign(new Error(`${code}: simulated`), { code });

/** `bytes` at `position`, the gap before it filled with zeros. */
function place(target: Buffer, bytes: Uint8Array, position: number): Buffer {
  const result = Buffer.alloc(Math.max(target.length, position + bytes.length));
  target.copy(result);
  result.set(bytes, position);
  return result;
}

export function simulatedDisk(
  names = new Map<string, Inode>(),
  durableNames = new Map<string, Inode>(names),
): SimulatedDisk {
  let dead = false;

  const check = (): void => {
    if (dead) throw failure('EIO');
  };

  function write(inode: Inode, buffers: readonly Uint8Array[], position: number): number {
    check();
    const bytes = Buffer.concat(buffers);
    if (disk.full) throw failure('ENOSPC');
    const { fault } = disk;
    disk.fault = undefined;
    const through = fault === undefined ? bytes.length : Math.floor(bytes.length * fault.share);
    inode.data = place(inode.data, bytes.subarray(0, through), position);
    if (fault === undefined || fault.kind === 'short') {
      inode.durable = place(inode.durable, bytes.subarray(0, through), position);
      return through;
    }
    disk.noRepair = fault.noRepair === true;
    if (fault.kind === 'power') {
      dead = true;
      throw failure('EIO');
    }
    throw failure(fault.kind);
  }

  const handle = (inode: Inode): JournalFile => ({
    read: async (into, position) => {
      check();
      const bytes = inode.data.subarray(position, position + into.length);
      into.set(bytes);
      return bytes.length;
    },
    write: async (buffers, position) => write(inode, buffers, position),
    truncate: async (length) => {
      check();
      if (disk.noRepair) throw failure('EIO');
      inode.data = Buffer.from(inode.data.subarray(0, length));
      inode.durable = inode.data;
    },
    size: async () => inode.data.length,
    close: async () => {},
  });

  const disk: SimulatedDisk = {
    fault: undefined,
    full: false,
    noRepair: false,
    files: {
      open: async (path, mode) => {
        check();
        const known = names.get(path);
        if (mode === 'create') {
          if (known !== undefined) throw failure('EEXIST');
          if (disk.full) throw failure('ENOSPC');
          const inode = { data: Buffer.alloc(0), durable: Buffer.alloc(0) };
          names.set(path, inode);
          return handle(inode);
        }
        if (known === undefined) throw failure('ENOENT');
        return handle(known);
      },
      remove: async (path) => {
        check();
        if (disk.noRepair) throw failure('EIO');
        if (!names.delete(path)) throw failure('ENOENT');
      },
      makeDirectory: async () => check(),
      syncDirectory: async () => {
        check();
        durableNames.clear();
        for (const [path, inode] of names) durableNames.set(path, inode);
      },
      list: async (directory) => [...names.keys()].map((path) => path.slice(directory.length + 1)),
      freeBytes: async () => 1e9,
    },
    restart: (coin, power) => {
      const survivors = new Map<string, Inode>();
      for (const path of new Set([...names.keys(), ...durableNames.keys()])) {
        const now = names.get(path);
        const before = durableNames.get(path);
        const inode = !power || now === before || coin() ? now : before;
        if (inode === undefined) continue;
        const data = power ? tear(inode, coin) : inode.data;
        survivors.set(path, { data, durable: data });
      }
      return simulatedDisk(survivors);
    },
    edit: (path, change) => {
      const inode = names.get(path)!;
      const changed = change(Buffer.from(inode.data));
      if (changed === undefined) {
        names.delete(path);
        durableNames.delete(path);
      } else {
        inode.data = changed;
        inode.durable = changed;
      }
    },
    put: (path, bytes) => {
      const inode = { data: bytes, durable: bytes };
      names.set(path, inode);
      durableNames.set(path, inode);
    },
    paths: () => [...names.keys()].toSorted(),
    content: (path) => names.get(path)!.data,
  };
  return disk;
}

/** Where the running process's view and the durable one differ, each sector is one or the other. */
function tear({ data, durable }: Inode, coin: () => boolean): Buffer {
  const length = data.length === durable.length || coin() ? data.length : durable.length;
  const result = Buffer.alloc(length);
  for (let at = 0; at < length; at += SECTOR_BYTES) {
    const source = coin() ? data : durable;
    source.subarray(at, Math.min(at + SECTOR_BYTES, length)).copy(result, at);
  }
  return result;
}
