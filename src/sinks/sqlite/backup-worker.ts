/** The thread that copies the database. Its connection only reads, so neither writer nor readers wait for it. */
import { parentPort, workerData } from 'node:worker_threads';
import type { BackupMessage } from './backup.ts';
import { openForReading } from './open-for-reading.ts';

const { path, target } = workerData as { readonly path: string; readonly target: string };
const port = parentPort;
if (port === null) throw new Error('backup-worker.ts runs as a worker thread, started by backupDatabase');
const send = (message: BackupMessage): void => port.postMessage(message);

try {
  const db = openForReading(path);
  // One read transaction: a writer's commit in between would begin the copy anew.
  db.exec('BEGIN');
  db.prepare('SELECT count(*) FROM sqlite_schema').get();
  await db.backup(target, {
    progress: ({ totalPages, remainingPages }) => {
      send({ done: totalPages - remainingPages, total: totalPages });
      return 2000;
    },
  });
  db.exec('COMMIT');
  db.close();
  send({ finished: true });
} catch (error) {
  send({ error: error instanceof Error ? error.message : String(error) });
}
