/**
 * Sends what is left when a process has nothing more to do: one `beforeExit` listener for all clients. A process that is
 * ended by `process.exit` or a signal passes this by; it calls `await client.shutdown()` itself.
 */
import { host } from './runtime.ts';

const pending = new Set<() => Promise<void>>();
let listening = false;

/** Has `flush` called before the process ends, until `cancelExitFlush`. */
export function requestExitFlush(flush: () => Promise<void>): void {
  pending.add(flush);
  if (listening) return;
  listening = true;
  // The flush keeps the loop alive; once it drains, `beforeExit` comes again, and finds nothing pending.
  host.process?.once?.('beforeExit', () => {
    listening = false;
    const flushes = [...pending];
    pending.clear();
    for (const flush of flushes) flush().catch(() => {});
  });
}

export function cancelExitFlush(flush: () => Promise<void>): void {
  pending.delete(flush);
}
