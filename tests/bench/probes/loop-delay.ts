/**
 * How late the event loop is, by a timer of 1 ms, as `monitorEventLoopDelay` with that resolution has it: one reading each time that
 * it fires. `weightedP99` also counts the timers that would have been due while it was late: 20 ms are then 20 delays, of 20, 19,
 * 18 … ms, and not one among thousands of short ones. It is what something feels that comes at any instant.
 */
import { quantile } from '../scenario.ts';
import { probe } from './probe.ts';

export interface LoopDelay {
  /** Milliseconds. */
  readonly p50: number;
  readonly p99: number;
  readonly weightedP99: number;
  readonly max: number;
}

const EVERY_MS = 1;

probe(() => {
  const delays: number[] = [];
  const weighted: number[] = [];
  let due = performance.now() + EVERY_MS;
  let timer: NodeJS.Timeout;
  const next = (): void => {
    due = performance.now() + EVERY_MS;
    timer = setTimeout(fired, EVERY_MS);
  };
  const fired = (): void => {
    const late = Math.max(0, performance.now() - due);
    delays.push(late);
    for (let delay = late; delay >= 0; delay -= EVERY_MS) weighted.push(delay);
    next();
  };
  next();
  return (): LoopDelay => {
    clearTimeout(timer);
    return {
      p50: quantile(delays, 0.5),
      p99: quantile(delays, 0.99),
      weightedP99: quantile(weighted, 0.99),
      max: quantile(delays, 1),
    };
  };
});
