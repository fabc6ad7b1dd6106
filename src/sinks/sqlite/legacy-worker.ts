/** The thread that reads the database which is being imported. */
import { threadData } from '../../core/threads.ts';
import { openLegacyDatabase } from './legacy-database.ts';
import { serve } from './worker-server.ts';

const { path } = await threadData<{ readonly path: string }>();
serve(() => openLegacyDatabase(path));
