/** The writer's thread: owns the database for writing, and answers one call after the other. */
import { parentPort, workerData } from 'node:worker_threads';
import { Rewind, Unacceptable } from '../../core/sink.ts';
import { UnusableDatabase } from './migrate.ts';
import { createWriterMethods, type WriterMethods, type WriterSettings } from './writer-methods.ts';
import type { Call, Reply, WireError } from './writer-protocol.ts';

/** How soon keys changed by another process work here: well within a second. */
const POLL_INTERVAL_MS = 400;
/** Keys that one message carries, so that no message stalls the main thread. */
const KEYS_PER_MESSAGE = 500;

const port = parentPort;
if (port === null) throw new Error('writer-worker.ts runs as a worker thread, started by openStore');
const send = (reply: Reply): void => port.postMessage(reply);

function toWire(error: unknown): WireError {
  const message = error instanceof Error ? error.message : String(error);
  if (error instanceof Unacceptable) return { kind: 'unacceptable', message };
  if (error instanceof UnusableDatabase) return { kind: 'unusable', message };
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

function start(): WriterMethods | undefined {
  try {
    return createWriterMethods(workerData as WriterSettings, {
      log: (level, fields, message) => send({ kind: 'log', level, fields, message }),
      keys: (keys, all) => {
        for (let at = 0; at === 0 || at < keys.length; at += KEYS_PER_MESSAGE) {
          const more = at + KEYS_PER_MESSAGE < keys.length;
          send({ kind: 'keys', keys: keys.slice(at, at + KEYS_PER_MESSAGE), all, more });
        }
      },
    });
  } catch (error) {
    send({ kind: 'not-ready', error: toWire(error) });
    return undefined;
  }
}

const methods = start();
if (methods !== undefined) {
  const poll = setInterval(() => {
    try {
      methods.poll();
    } catch {
      // Locked or out of order: the next write says so to someone who can act on it.
    }
  }, POLL_INTERVAL_MS);
  port.on('message', ({ id, method, args }: Call) => {
    try {
      const result = (methods[method] as (...args: readonly unknown[]) => unknown)(...args);
      send({ kind: 'done', id, result });
      if (method === 'close') {
        clearInterval(poll);
        port.close();
      }
    } catch (error) {
      send({ kind: 'failed', id, error: toWire(error) });
    }
  });
  send({ kind: 'ready' });
}
