/** The thread that reads the database which is being imported. */
import { workerData } from 'node:worker_threads';
import { openLegacyDatabase } from './legacy-database.ts';
import { serve } from './worker-server.ts';

serve(() => openLegacyDatabase((workerData as { readonly path: string }).path));
