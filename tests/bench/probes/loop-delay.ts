/**
 * How late the event loop is, by a timer of 1 ms. While it is late, the timers that would have been due meanwhile count too:
 * 20 ms are 20 delays, of 20, 19, 18 … ms, and not one among thousands of short ones.
 */
import { quantile } from '../scenario.ts';
import { probe } from './probe.ts';

export interface LoopDelay {
  /** Milliseconds. */
  readonly p50: number;
  readonly p99: number;
  readonly max: number;
}

const EVERY_MS = 1;

probe(() => {
  const delays: number[] = [];
  let due = performance.now() + EVERY_MS;
  let timer: NodeJS.Timeout;
  const next = (): void => {
    due = performance.now() + EVERY_MS;
    timer = setTimeout(fired, EVERY_MS);
  };
  const fired = (): void => {
    for (let delay = Math.max(0, performance.now() - due); ; delay -= EVERY_MS) {
      delays.push(delay);
      if (delay < EVERY_MS) break;
    }
    next();
  };
  next();
  return (): LoopDelay => {
    clearTimeout(timer);
    return { p50: quantile(delays, 0.5), p99: quantile(delays, 0.99), max: quantile(delays, 1) };
  };
});
