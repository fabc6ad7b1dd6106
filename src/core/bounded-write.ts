/** One write to a sink at a time, each with a time limit after which its signal says that nobody waits any longer. */
import type { Clock } from './ports.ts';
import type { DeliveredBatch, Sink } from './sink.ts';

export interface BoundedWriteOptions {
  readonly clock: Clock;
  /** Milliseconds until the write's signal is aborted. */
  readonly timeoutMs: number;
  /** The time limit has passed; the write has not ended yet, and a sink that ignores its signal may never end it. */
  readonly onTimeout: (error: Error) => void;
  /** A write has ended. */
  readonly onEnd: (durationMs: number, failed: boolean) => void;
}

export interface BoundedWrite {
  /** Rejects with what the sink's `write` rejects with. */
  readonly run: (sink: Sink, batch: DeliveredBatch) => Promise<void>;
  /** Aborts the write under way, if there is one. */
  readonly abort: (reason: Error) => void;
}

export function boundedWrite({ clock, timeoutMs, onTimeout, onEnd }: BoundedWriteOptions): BoundedWrite {
  let current: AbortController | undefined;
  return {
    run: async (sink, batch) => {
      const began = clock.monotonic();
      const controller = new AbortController();
      current = controller;
      const timer = clock.after(timeoutMs, () => {
        const late = new Error(`no answer for ${timeoutMs} ms`);
        onTimeout(late);
        controller.abort(late);
      });
      let failed = true;
      try {
        await sink.write(batch, controller.signal);
        failed = false;
      } finally {
        timer.cancel();
        current = undefined;
        onEnd(clock.monotonic() - began, failed);
      }
    },
    abort: (reason) => current?.abort(reason),
  };
}
