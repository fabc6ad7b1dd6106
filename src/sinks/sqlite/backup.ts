/** Online backups: a thread of its own copies the database page by page while it is written to. */
import { existsSync } from 'node:fs';
import { rename, rm, stat } from 'node:fs/promises';
import { resolve } from 'node:path';
import { Worker } from 'node:worker_threads';

export interface BackupMessage {
  readonly done?: number;
  readonly total?: number;
  readonly error?: string;
  readonly finished?: boolean;
}

/**
 * The copy appears under its name once it is whole; a checkpoint in it lets a gateway that is started on it go on
 * from there.
 */
export async function backupDatabase(
  path: string,
  target: string,
  onProgress?: (done: number, total: number) => void,
): Promise<number> {
  const file = resolve(target);
  if (existsSync(file)) throw new Error(`${file} exists already; name a new file for the backup`);
  const temporary = `${file}.partial`;
  await rm(temporary, { force: true });
  const ending = import.meta.filename.endsWith('.ts') ? '.ts' : '.js';
  const worker = new Worker(new URL(`./backup-worker${ending}`, import.meta.url), {
    workerData: { path, target: temporary },
  });
  try {
    await new Promise<void>((done, fail) => {
      worker.on('message', (message: BackupMessage) => {
        if (message.error !== undefined) fail(new Error(`the backup failed: ${message.error}`));
        else if (message.finished === true) done();
        else onProgress?.(message.done ?? 0, message.total ?? 0);
      });
      worker.on('error', fail);
      worker.on('exit', () => fail(new Error('the backup thread ended early')));
    });
    await rename(temporary, file);
    return (await stat(file)).size;
  } finally {
    await worker.terminate();
    await rm(temporary, { force: true });
  }
}
