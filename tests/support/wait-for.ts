/** Waiting in tests: for a condition, with a deadline; never for time alone. */
import { setTimeout as sleep } from 'node:timers/promises';

export interface WaitOptions {
  /** Milliseconds until the test gives up. Default 30,000. */
  readonly deadlineMs?: number;
  /** Milliseconds between two looks. Default 20. */
  readonly everyMs?: number;
}

/**
 * Looks until `condition` gives something other than undefined or false, and returns that. A look that throws counts as
 * a no; the last error is the cause of the one at the deadline.
 * @param what the end of the sentence "waited in vain for …"
 */
export async function waitFor<Found>(
  what: string,
  condition: () => Found | Promise<Found>,
  { deadlineMs = 30_000, everyMs = 20 }: WaitOptions = {},
): Promise<Exclude<Found, undefined | false | void>> {
  const deadline = performance.now() + deadlineMs;
  for (;;) {
    let cause: unknown;
    try {
      const found = await condition();
      if (found !== undefined && found !== false) return found as Exclude<Found, undefined | false | void>;
    } catch (error) {
      cause = error;
    }
    if (performance.now() >= deadline) throw new Error(`waited ${deadlineMs} ms in vain for ${what}`, { cause });
    await sleep(everyMs);
  }
}
