/** The totals thread as the main thread sees it: questions and answers, and a new thread where one was lost. */
import type { Worker } from 'node:worker_threads';
import type { Clock, Log, MetricFamily } from '../../core/ports.ts';
import { Unacceptable } from '../../core/sink.ts';
import { startThread } from '../../core/threads.ts';
import type { ExpositionFormat } from './exposition.ts';
import type { FromThread, SnapshotsHeld, ToThread, TotalsAnswer, TotalsRequest, TotalsThreadData } from './messages.ts';

export interface TotalsThreadOptions {
  readonly data: TotalsThreadData;
  readonly clock: Clock;
  readonly log: Log;
  /** The gateway's own metrics, for an OTLP push. */
  readonly families: () => readonly MetricFamily[];
  /** A thread came up with the state of its snapshot: at start, and again after one was lost. */
  readonly onUp: (answer: TotalsAnswer) => void;
  readonly onDown: () => void;
  readonly onAnswer: (answer: TotalsAnswer) => void;
  readonly onExport: (reader: string, count: number, failure: string | undefined) => void;
}

export interface TotalsThread {
  /** @throws the fault that keeps the first thread from coming up */
  readonly start: () => Promise<void>;
  /** Asks once a thread is up. Rejects when the thread is lost meanwhile, or `signal` aborts. */
  readonly ask: (request: TotalsRequest, transfer?: ArrayBuffer[], signal?: AbortSignal) => Promise<TotalsAnswer>;
  /** The totals as text, of the instant at which the thread comes to the question. */
  readonly scrape: (format: ExpositionFormat) => Promise<readonly Uint8Array[]>;
  readonly isUp: () => boolean;
  readonly snapshots: () => SnapshotsHeld;
  readonly restarts: () => number;
  /** Ends the thread for good; what was asked and not answered rejects. */
  readonly stop: () => Promise<void>;
}

interface Question {
  readonly resolve: (answer: TotalsAnswer) => void;
  readonly reject: (error: Error) => void;
  readonly pieces: Uint8Array[];
}

const NOTHING_HELD: SnapshotsHeld = { newest: undefined, previous: undefined, failures: 0 };
const ENTRY = `./totals-worker${import.meta.filename.endsWith('.ts') ? '.ts' : '.js'}`;
const LONGEST_PAUSE_MS = 10_000;

export function createTotalsThread(options: TotalsThreadOptions): TotalsThread {
  const { log, clock } = options;
  const questions = new Map<number, Question>();
  let worker: Worker | undefined;
  let up = false;
  let upWaiters: (() => void)[] = [];
  let held = NOTHING_HELD;
  let lastId = 0;
  let restarts = 0;
  let failuresInRow = 0;
  let stopped = false;

  const receive = (message: FromThread): void => {
    switch (message.kind) {
      case 'ready':
        up = true;
        failuresInRow = 0;
        held = message.snapshots;
        options.onUp(message.answer);
        for (const wake of upWaiters.splice(0)) wake();
        return;
      case 'answer':
        options.onAnswer(message.answer);
        questions.get(message.id)?.resolve(message.answer);
        return;
      case 'failed': {
        const { message: text, unacceptable } = message.failure;
        questions.get(message.id)?.reject(unacceptable ? new Unacceptable(text) : new Error(text));
        return;
      }
      case 'piece':
        questions.get(message.id)?.pieces.push(message.bytes);
        return;
      case 'snapshots':
        held = message.snapshots;
        return;
      case 'collect':
        post({ kind: 'families', id: message.id, families: options.families() });
        return;
      case 'exported':
        options.onExport(message.reader, message.count, message.failure);
        return;
      case 'log': {
        const { level, fields, message: text } = message.line;
        log[level](fields, text);
      }
    }
  };

  const post = (message: ToThread, transfer: ArrayBuffer[] = []): void => worker?.postMessage(message, transfer);

  /** Resolves with the fault once the thread has ended. */
  const run = (): Promise<Error> =>
    new Promise((resolve) => {
      const thread = startThread(new URL(ENTRY, import.meta.url), options.data);
      let fault: Error | undefined;
      worker = thread;
      thread.on('message', receive);
      thread.on('error', (error: Error) => (fault = error));
      thread.on('exit', (code) => {
        up = false;
        const error = fault ?? new Error(`the totals thread ended with code ${code}`);
        for (const { reject } of questions.values()) reject(error);
        options.onDown();
        resolve(error);
      });
    });

  const keepUp = async (first: (fault: Error) => void): Promise<void> => {
    for (;;) {
      const fault = await run();
      if (stopped) return;
      first(fault);
      failuresInRow += 1;
      restarts += 1;
      const pauseMs = Math.min(LONGEST_PAUSE_MS, 50 * 2 ** failuresInRow);
      log.error({ err: fault, pauseMs }, 'the totals thread was lost; a new one goes on from its snapshot');
      await new Promise<void>((resume) => void clock.after(pauseMs, resume));
      if (stopped) return;
    }
  };

  const whenUp = (signal?: AbortSignal): Promise<void> => {
    if (up) return Promise.resolve();
    return new Promise((resolve, reject) => {
      const abort = (): void => reject(signal?.reason as Error);
      signal?.addEventListener('abort', abort, { once: true });
      upWaiters.push(() => {
        signal?.removeEventListener('abort', abort);
        resolve();
      });
    });
  };

  const question = (request: TotalsRequest, transfer: ArrayBuffer[], signal?: AbortSignal) =>
    new Promise<{ answer: TotalsAnswer; pieces: readonly Uint8Array[] }>((resolve, reject) => {
      lastId += 1;
      const id = lastId;
      const pieces: Uint8Array[] = [];
      const abort = (): void => settle(() => reject(signal?.reason as Error));
      const settle = (outcome: () => void): void => {
        questions.delete(id);
        signal?.removeEventListener('abort', abort);
        outcome();
      };
      questions.set(id, {
        pieces,
        resolve: (answer) => settle(() => resolve({ answer, pieces })),
        reject: (error) => settle(() => reject(error)),
      });
      signal?.addEventListener('abort', abort, { once: true });
      post({ kind: 'request', id, request }, transfer);
    });

  return {
    start: () =>
      new Promise((resolve, reject) => {
        upWaiters.push(resolve);
        keepUp(reject).catch(reject);
      }),
    ask: async (request, transfer = [], signal) => {
      signal?.throwIfAborted();
      await whenUp(signal);
      return (await question(request, transfer, signal)).answer;
    },
    scrape: async (format) => {
      if (!up) throw new Error('the totals thread is not up');
      return (await question({ kind: 'scrape', format }, [])).pieces;
    },
    isUp: () => up,
    snapshots: () => held,
    restarts: () => restarts,
    stop: async () => {
      stopped = true;
      await worker?.terminate();
      upWaiters = [];
    },
  };
}
