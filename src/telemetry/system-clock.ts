/** The machine's own clock behind the `Clock` port. */
import type { Clock, Timer } from '../core/ports.ts';

/** setTimeout takes no longer delay: it would fire at once. */
const LONGEST_DELAY_MS = 2 ** 31 - 1;

function after(delayMs: number, callback: () => void): Timer {
  let handle: NodeJS.Timeout;
  const arm = (leftMs: number): void => {
    const delay = Math.min(leftMs, LONGEST_DELAY_MS);
    handle = setTimeout(() => (leftMs > delay ? arm(leftMs - delay) : callback()), delay).unref();
  };
  arm(delayMs);
  return { cancel: () => clearTimeout(handle) };
}

export const systemClock: Clock = Object.freeze({
  now: () => Date.now(),
  monotonic: () => performance.now(),
  after,
});
