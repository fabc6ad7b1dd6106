/** A clock whose hands the test turns. Timers fire in order, each followed by everything that it set off. */
import type { Clock } from '../../src/core/ports.ts';

export interface VirtualClock extends Clock {
  /** Turns both hands by `ms`, firing what falls due, and lets promises settle in between. */
  readonly advance: (ms: number) => Promise<void>;
  /** Moves the wall clock alone, as an NTP step does. */
  readonly jump: (ms: number) => void;
}

/** Lets everything that is ready run: promises, and callbacks of real I/O that ended. */
export const settle = async (turns = 5): Promise<void> => {
  for (let turn = 0; turn < turns; turn += 1) await new Promise((resolve) => setImmediate(resolve));
};

export function virtualClock(startMs = Date.UTC(2026, 0, 1)): VirtualClock {
  let monotonic = 0;
  let offset = startMs;
  const timers = new Set<{ at: number; callback: () => void }>();
  return {
    now: () => offset + monotonic,
    monotonic: () => monotonic,
    after: (delayMs, callback) => {
      const timer = { at: monotonic + delayMs, callback };
      timers.add(timer);
      return { cancel: () => timers.delete(timer) };
    },
    jump: (ms) => {
      offset += ms;
    },
    advance: async (ms) => {
      const end = monotonic + ms;
      await settle();
      for (;;) {
        const [next] = [...timers].filter(({ at }) => at <= end).sort((a, b) => a.at - b.at);
        if (next === undefined) break;
        timers.delete(next);
        monotonic = Math.max(monotonic, next.at);
        next.callback();
        await settle();
      }
      monotonic = end;
      await settle();
    },
  };
}

/** Turns the hands in steps until the condition holds; files are real, so a step waits a moment for them as well. */
export async function advanceUntil(
  clock: VirtualClock,
  condition: () => boolean,
  stepMs = 1000,
  limit = 2000,
): Promise<void> {
  for (let step = 0; step < limit && !condition(); step += 1) {
    await clock.advance(stepMs);
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
  if (!condition())
    throw new Error(`the condition did not hold after ${limit} steps of ${stepMs} ms: ${condition.toString()}`);
}
