/**
 * Holds a data directory by an exclusive SQLite transaction on an empty file, `lock`. Below it is a lock of the kernel's
 * on the file itself (fcntl): it ends with its process, is seen by every container that mounts the volume, and needs
 * neither a process id, which containers reuse, nor a byte of disk space. Node has no `flock` of its own.
 */
import { constants } from 'node:fs';
import { access, readFile, truncate, writeFile } from 'node:fs/promises';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import Database from 'better-sqlite3';
import { DirectoryInUse, type LockDirectory } from '../../core/directory-lock.ts';
import { makeDirectory } from '../../core/files.ts';

const RETRY_MS = 50;

/** Do not open and close `lock` elsewhere in the process that holds it: POSIX drops a lock at the first `close`. */
export const lockDirectory: LockDirectory = async (directory, { waitMs = 2000 } = {}) => {
  await expectWritable(directory);
  const ownerPath = join(directory, 'lock.owner');
  const deadline = performance.now() + waitMs;
  for (;;) {
    const release = await tryLock(join(directory, 'lock'));
    if (release !== undefined) {
      await tellOwner(ownerPath);
      return { release: () => Promise.resolve(release()) };
    }
    if (performance.now() >= deadline) throw new DirectoryInUse(directory, await readOwner(ownerPath));
    await setTimeout(RETRY_MS);
  }
};

/** @throws Error that says which directory, and why it cannot be used */
async function expectWritable(directory: string): Promise<void> {
  try {
    await makeDirectory(directory);
    await access(directory, constants.R_OK | constants.W_OK | constants.X_OK);
  } catch (error) {
    const { code = 'unknown', message } = error as NodeJS.ErrnoException;
    const reason =
      code === 'EROFS'
        ? 'its disk is mounted read-only'
        : code === 'EACCES'
          ? 'this user may not write there'
          : message;
    throw Object.assign(
      new Error(
        `The data directory ${directory} cannot be written: ${reason}. Mend that, or give the gateway another one (SQLITE_DB_PATH).`,
        { cause: error },
      ),
      { code },
    );
  }
}

/** @returns how to let go; undefined while another holds it */
async function tryLock(path: string): Promise<(() => void) | undefined> {
  const database = new Database(path, { timeout: 0 });
  try {
    database.exec('BEGIN EXCLUSIVE');
    return () => {
      database.close();
    };
  } catch (error) {
    database.close();
    const { code } = error as { code?: string };
    if (code?.startsWith('SQLITE_BUSY') === true) return undefined;
    if (code !== 'SQLITE_NOTADB') throw error;
    // Whatever came over the file: nobody holds it, or that would have been said first, and its content means nothing.
    await truncate(path);
    return tryLock(path);
  }
}

/** For the message that a second process gives; the lock does not depend on it. */
async function tellOwner(path: string): Promise<void> {
  try {
    await writeFile(path, JSON.stringify({ pid: process.pid, host: hostname(), since: new Date().toISOString() }), {
      mode: 0o600,
    });
  } catch {
    // A full disk is no reason not to start.
  }
}

async function readOwner(path: string): Promise<string | undefined> {
  try {
    const { pid, host, since } = JSON.parse(await readFile(path, 'utf8')) as Record<string, unknown>;
    return `process ${String(pid)} on host ${String(host)}, since ${String(since)}`;
  } catch {
    return undefined;
  }
}
