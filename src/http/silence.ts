/** Finds bodies that stopped coming, with one timer for all of them: a timer per request would cost each of them. */
import type { Clock, Timer } from '../core/ports.ts';

/** A body that is being read. */
export interface Watched {
  /** Monotonic milliseconds of the last sign of life. */
  lastAt: number;
  readonly onSilence: () => void;
}

export interface SilenceWatch {
  readonly add: (watched: Watched) => void;
  readonly remove: (watched: Watched) => void;
}

export function createSilenceWatch(clock: Clock, timeoutMs: number): SilenceWatch {
  const watched = new Set<Watched>();
  let timer: Timer | undefined;

  const look = (): void => {
    timer = undefined;
    const now = clock.monotonic();
    let next = Number.POSITIVE_INFINITY;
    for (const body of watched) {
      const left = body.lastAt + timeoutMs - now;
      if (left > 0) next = Math.min(next, left);
      else {
        watched.delete(body);
        body.onSilence();
      }
    }
    if (next !== Number.POSITIVE_INFINITY) timer = clock.after(next, look);
  };

  return {
    add: (body) => {
      watched.add(body);
      timer ??= clock.after(timeoutMs, look);
    },
    remove: (body) => {
      watched.delete(body);
    },
  };
}
