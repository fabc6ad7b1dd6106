/** A worker thread that dies of its first call, unless one before it has. */
import { threadData } from '../../../src/core/threads.ts';
import { serve } from '../../../src/sinks/sqlite/worker-server.ts';

const { restarted } = await threadData<{ readonly restarted: boolean }>();

export const methods = {
  work: (text: string): string => {
    if (!restarted) process.exit(1);
    return text.toUpperCase();
  },
  close: (): void => undefined,
};

serve(() => methods);
