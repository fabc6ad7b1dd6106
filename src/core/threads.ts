/**
 * Worker threads. What one works on reaches it with its first message, so that a thread can be started before that is
 * known: loading its modules takes as long as everything else at start.
 */
import { once } from 'node:events';
import { setFlagsFromString } from 'node:v8';
import { parentPort, Worker } from 'node:worker_threads';

/**
 * MiB of young generation. V8's default of 48 fills with what is dead already; of a record's events nothing survives the
 * record, so that collecting sooner costs no more.
 */
const YOUNG_GENERATION_MB = 6;

/** Threads that nobody has asked for yet, by their script. */
const early = new Map<string, { readonly thread: Worker; readonly letGo: () => void }>();

/** Starts a thread for the `startThread` that is to come with the same script. Ends with the process, or `endEarlyThreads`. */
export function startEarly(script: URL): Worker {
  const thread = newThread(script);
  // Whoever wants this thread then starts one anew, and hears what is wrong with it.
  const forget = (): void => void early.delete(script.href);
  thread.on('error', forget).on('exit', forget);
  early.set(script.href, { thread, letGo: () => thread.off('error', forget).off('exit', forget) });
  return thread;
}

/** @param data what the thread's `threadData` resolves to */
export function startThread(script: URL, data: unknown): Worker {
  const waiting = early.get(script.href);
  early.delete(script.href);
  waiting?.letGo();
  const worker = waiting?.thread ?? newThread(script);
  worker.postMessage(data, []);
  return worker;
}

/** Ends the threads that were started early and that nobody wanted. */
export async function endEarlyThreads(): Promise<void> {
  await Promise.all(Array.from(early.values(), ({ thread }) => thread.terminate()));
}

/** Called first by a thread, and once. What is posted before the thread listens for more is lost. */
export async function threadData<Data>(): Promise<Data> {
  if (parentPort === null) throw new Error('this module is the entry of a worker thread');
  const [data] = (await once(parentPort, 'message')) as [Data];
  return data;
}

function newThread(script: URL): Worker {
  // Given to the process, the option would go before the limits of its threads.
  setFlagsFromString('--max-semi-space-size=0');
  return new Worker(script, {
    name: /([^/]+?)(-worker)?\.[jt]s$/.exec(script.pathname)?.[1] ?? 'worker',
    resourceLimits: { maxYoungGenerationSizeMb: YOUNG_GENERATION_MB },
  });
}
