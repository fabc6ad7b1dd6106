/** The thread's side of worker-client.ts: answers calls one after the other. */
import { parentPort } from 'node:worker_threads';
import { Rewind, Unacceptable } from '../../core/sink.ts';
import { InvalidQuery, UnusableDatabase } from './errors.ts';
import type { Call, Reply, WireError } from './writer-protocol.ts';

/** Methods that a thread answers; `close` is called last. */
export interface ServedMethods {
  readonly close: () => void;
}

/**
 * Makes the methods and serves them until `close`.
 * @returns the methods, or undefined where making them failed: the caller has been told why
 */
export function serve<Methods extends ServedMethods>(
  make: (send: (reply: Reply) => void) => Methods,
  onClose: () => void = () => undefined,
): Methods | undefined {
  const port = parentPort;
  if (port === null) throw new Error('this file runs as a worker thread');
  const send = (reply: Reply, transfer: readonly ArrayBuffer[] = []): void => port.postMessage(reply, transfer);
  let methods: Methods;
  try {
    methods = make(send);
  } catch (error) {
    send({ kind: 'not-ready', error: toWire(error) });
    return undefined;
  }
  const table = methods as unknown as Readonly<Record<string, (...args: readonly unknown[]) => unknown>>;
  port.on('message', ({ id, method, args }: Call) => {
    try {
      const result = table[method]!(...args);
      // A buffer changes threads as a whole, both ways.
      send({ kind: 'done', id, result }, result instanceof ArrayBuffer ? [result] : []);
    } catch (error) {
      send({ kind: 'failed', id, error: toWire(error) });
    }
    if (method === 'close') {
      onClose();
      port.close();
    }
  });
  send({ kind: 'ready' });
  return methods;
}

function toWire(error: unknown): WireError {
  const message = error instanceof Error ? error.message : String(error);
  if (error instanceof Unacceptable) return { kind: 'unacceptable', message };
  if (error instanceof UnusableDatabase) return { kind: 'unusable', message };
  if (error instanceof InvalidQuery) return { kind: 'invalid-query', message };
  if (error instanceof Rewind) {
    return {
      kind: 'rewind',
      message,
      ...(error.checkpoint === undefined ? undefined : { checkpoint: error.checkpoint }),
    };
  }
  const code = (error as { code?: unknown } | undefined)?.code;
  return { kind: 'outage', message, ...(typeof code === 'string' ? { code } : undefined) };
}
