/** Can the data directory be written, and is there space? */
import { constants } from 'node:fs';
import { access, rm, stat, statfs, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { type Check, fault, messageOf, ok, warning } from './finding.ts';

/** What the journal and the database need to go on for a while. */
const LOW_SPACE_BYTES = 1024 ** 3;
const LEAST_SPACE_BYTES = 64 * 1024 ** 2;

export const checkDataDirectory: Check = async ({ dataDirectory }) => {
  const existing = await nearest(dataDirectory);
  const probe = join(existing, `.doctor-${process.pid}`);
  try {
    await access(existing, constants.W_OK | constants.X_OK);
    await writeFile(probe, '');
    await rm(probe);
  } catch (error) {
    return fault(
      'data directory',
      `${existing} cannot be written: ${messageOf(error)}`,
      `give it to the user that runs the gateway (chown), mount it writable, or set SQLITE_DB_PATH elsewhere`,
    );
  }
  if (existing !== dataDirectory) return ok('data directory', `${dataDirectory} will be made`);
  const { mode } = await stat(dataDirectory);
  if ((mode & 0o022) !== 0)
    return warning(
      'data directory',
      `${dataDirectory} may be written by other users of this machine (mode ${(mode & 0o777).toString(8)})`,
      `chmod go-w ${dataDirectory}: who may write there can replace the database and its keys`,
    );
  return ok('data directory', dataDirectory);
};

export const checkSpace: Check = async ({ dataDirectory }) => {
  const { bavail, bsize } = await statfs(await nearest(dataDirectory));
  const free = bavail * bsize;
  const detail =
    free < 1024 ** 3 ? `${Math.floor(free / 1024 ** 2)} MiB free` : `${(free / 1024 ** 3).toFixed(1)} GiB free`;
  if (free < LEAST_SPACE_BYTES)
    return fault('disk space', detail, 'free some: without space every request is answered 503');
  if (free < LOW_SPACE_BYTES)
    return warning('disk space', detail, 'free some, or shorten the retention: mcp-metrics retention set');
  return ok('disk space', detail);
};

/** The folder itself, or the one above it that is there. */
async function nearest(directory: string): Promise<string> {
  let existing = directory;
  while (existing !== dirname(existing) && !(await isThere(existing))) existing = dirname(existing);
  return existing;
}

const isThere = (path: string): Promise<boolean> =>
  access(path).then(
    () => true,
    () => false,
  );
