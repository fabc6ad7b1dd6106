/** Calls into a worker thread as promises. A thread that dies fails its calls and is started again by the next one. */
import type { Worker } from 'node:worker_threads';
import { Rewind, Unacceptable } from '../../core/sink.ts';
import { InvalidQuery, UnusableDatabase } from './errors.ts';
import type { Call, Reply, WireError } from './writer-protocol.ts';
import { startThread } from '../../core/threads.ts';

export interface WorkerClient<Methods> {
  /** Rejects with Unacceptable, Rewind or UnusableDatabase as the worker threw it, and with an Error for an outage. */
  readonly call: <Name extends keyof Methods & string>(
    name: Name,
    args: Methods[Name] extends (...args: infer Args) => unknown ? Args : never,
    transfer?: readonly ArrayBuffer[],
  ) => Promise<Methods[Name] extends (...args: never[]) => infer Result ? Result : never>;
  /** Ends the thread after the calls before it. */
  readonly close: () => Promise<void>;
}

export interface WorkerClientOptions {
  /** The worker's file beside this one, without its ending: `writer-worker`; or where it lies. */
  readonly script: string | URL;
  /** Given to the thread, with `restarted`: whether one before it has died. */
  readonly data: object;
  /** Messages that answer no call. */
  readonly onMessage: (reply: Exclude<Reply, { kind: 'ready' | 'not-ready' | 'done' | 'failed' }>) => void;
  readonly onCrash: (error: Error) => void;
}

interface Pending {
  readonly resolve: (value: unknown) => void;
  readonly reject: (error: Error) => void;
}

interface Thread {
  readonly worker: Worker;
  readonly ready: Promise<void>;
  readonly pending: Map<number, Pending>;
}

const fromWire = ({ kind, message, code, checkpoint }: WireError): Error => {
  if (kind === 'unacceptable') return new Unacceptable(message);
  if (kind === 'rewind') return new Rewind(message, checkpoint);
  if (kind === 'unusable') return new UnusableDatabase(message);
  if (kind === 'invalid-query') return new InvalidQuery(message);
  return Object.assign(new Error(message), code === undefined ? undefined : { code });
};

/** Starts the thread; resolves once it is ready to be called. */
export async function startWorker<Methods>(options: WorkerClientOptions): Promise<WorkerClient<Methods>> {
  const ending = import.meta.filename.endsWith('.ts') ? '.ts' : '.js';
  const { script } = options;
  const url = typeof script === 'string' ? new URL(`./${script}${ending}`, import.meta.url) : script;
  const name = typeof script === 'string' ? script : 'worker';
  let thread: Thread | undefined;
  let nextId = 1;
  let closed = false;
  let restarted = false;

  function spawn(): Thread {
    const worker = startThread(url, { ...options.data, restarted });
    restarted = true;
    const pending = new Map<number, Pending>();
    const ready = Promise.withResolvers<void>();
    const started: Thread = { worker, ready: ready.promise, pending };
    const fail = (error: Error): void => {
      if (thread === started) thread = undefined;
      ready.reject(error);
      for (const { reject } of pending.values()) reject(error);
      pending.clear();
    };
    // Rejections are for those who wait; a thread that nobody has called yet has no one.
    ready.promise.catch(() => undefined);
    worker.on('message', (reply: Reply) => {
      if (reply.kind === 'ready') ready.resolve();
      else if (reply.kind === 'not-ready') fail(fromWire(reply.error));
      else if (reply.kind === 'done' || reply.kind === 'failed') {
        const call = pending.get(reply.id);
        pending.delete(reply.id);
        if (reply.kind === 'done') call?.resolve(reply.result);
        else call?.reject(fromWire(reply.error));
      } else options.onMessage(reply);
    });
    worker.on('error', (error) => {
      const crash = error instanceof Error ? error : new Error(String(error));
      options.onCrash(crash);
      fail(new Error(`the thread ${name} crashed: ${crash.message}`, { cause: crash }));
    });
    worker.on('exit', () => fail(new Error(`the thread ${name} has ended`)));
    thread = started;
    return started;
  }

  const client: WorkerClient<Methods> = {
    call: async (name, args, transfer = []) => {
      if (closed) throw new Error('the database is closed');
      const target = thread ?? spawn();
      await target.ready;
      const id = nextId;
      nextId += 1;
      const answer = Promise.withResolvers<unknown>();
      target.pending.set(id, answer);
      const call: Call = { id, method: name, args };
      target.worker.postMessage(call, [...transfer]);
      return (await answer.promise) as never;
    },
    close: async () => {
      if (closed) return;
      const target = thread;
      if (target === undefined) {
        closed = true;
        return;
      }
      const closing = client.call('close' as never, [] as never);
      closed = true;
      await closing.catch(() => undefined);
      await target.worker.terminate();
    },
  };
  await spawn().ready;
  return client;
}
