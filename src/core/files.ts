/** Small files that must survive a crash whole: written beside, synced, renamed, the folder synced. */
import { mkdir, open, rename } from 'node:fs/promises';
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
  const first = await mkdir(path, { recursive: true, mode: 0o700 });
  if (first === undefined) return;
  let made = resolve(path);
  for (; made !== resolve(first); made = dirname(made)) await syncDirectory(dirname(made));
  await syncDirectory(dirname(made)).catch((error: NodeJS.ErrnoException) => {
    // A folder above the gateway's own may be closed to it.
    if (error.code !== 'EACCES') throw error;
  });
}
