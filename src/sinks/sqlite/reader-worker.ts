/** The reader's thread: answers questions of any size while the writer goes on. */
import { threadData } from '../../core/threads.ts';
import { createReaderMethods } from './reader-methods.ts';
import { serve } from './worker-server.ts';

const data = await threadData<{ readonly path: string }>();
serve(() => createReaderMethods(data));
