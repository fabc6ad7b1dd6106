/** Small files that must survive a crash whole: written beside, synced, renamed, the folder synced. */
import { mkdirSync, statSync } from 'node:fs';
import { open, rename } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';

/** Makes `path` hold exactly `bytes`: after a crash it has the old content or the new, never a part. */
export async function writeFileAtomically(path: string, bytes: Uint8Array | string): Promise<void> {
  const beside = `${path}.new`;
  const file = await open(beside, 'w', 0o600);
  try {
    await file.writeFile(bytes);
    await file.sync();
  } finally {
    await file.close();
  }
  await rename(beside, path);
  await syncDirectory(dirname(path));
}

/** Makes the names in a folder durable. Not every platform lets a folder be opened; there the rename must do. */
export async function syncDirectory(path: string): Promise<void> {
  if (process.platform === 'win32') return;
  const folder = await open(path, 'r');
  try {
    await folder.sync();
  } finally {
    await folder.close();
  }
}

/** Makes a folder, and those above it, readable by its owner alone. Their names are durable once resolved. */
export async function makeDirectory(path: string): Promise<void> {
  for (const made of makeFolders(resolve(path)).toReversed()) {
    await syncDirectory(dirname(made)).catch((error: NodeJS.ErrnoException) => {
      // A folder above the gateway's own may be closed to it.
      if (error.code !== 'EACCES') throw error;
    });
  }
}

const isFolder = (path: string): boolean => statSync(path, { throwIfNoEntry: false })?.isDirectory() ?? false;

/**
 * Makes the folder and those above it. Not by Node's own recursion, which never ends below a folder that takes none, /proc
 * for one.
 * @returns those that were made, the outermost first
 */
export function makeFolders(path: string): string[] {
  if (isFolder(path)) return [];
  const above = dirname(path);
  const made = above === path ? [] : makeFolders(above);
  try {
    mkdirSync(path, { mode: 0o700 });
    made.push(path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST' || !isFolder(path)) throw error;
  }
  return made;
}
