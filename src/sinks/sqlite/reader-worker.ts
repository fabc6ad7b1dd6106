/** The reader's thread: answers questions of any size while the writer goes on. */
import { workerData } from 'node:worker_threads';
import { createReaderMethods } from './reader-methods.ts';
import { serve } from './worker-server.ts';

serve(() => createReaderMethods(workerData as { readonly path: string }));
