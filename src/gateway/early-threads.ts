/** The threads that every usual gateway has, started before its configuration is read and the rest of it is loaded. */
import type { Worker } from 'node:worker_threads';
import { startEarly } from '../core/threads.ts';

const ENDING = import.meta.filename.endsWith('.ts') ? '.ts' : '.js';

export const startThreadsEarly = (): readonly Worker[] =>
  ['sinks/sqlite/writer-worker', 'sinks/otel/totals-worker'].map((script) =>
    startEarly(new URL(`../${script}${ENDING}`, import.meta.url)),
  );
