/** A worker thread that dies of its first call, unless one before it has. */
import { workerData } from 'node:worker_threads';
import { serve } from '../../../src/sinks/sqlite/worker-server.ts';

const { restarted } = workerData as { readonly restarted: boolean };

export const methods = {
  work: (text: string): string => {
    if (!restarted) process.exit(1);
    return text.toUpperCase();
  },
  close: (): void => undefined,
};

serve(() => methods);
