/** When to try again: exponential backoff with jitter, and the server's own word where it gives one. */

const FIRST_DELAY_MS = 250;
const LONGEST_DELAY_MS = 30_000;
/** After 401 and 403, which a person mends, not a quick retry. */
export const DENIED_DELAY_MS = 60_000;
/** The gateway remembers an idempotency key for 24 hours; a batch that may have arrived is not sent after half of that. */
export const MAX_BATCH_AGE_MS = 43_200_000;
/** A `Retry-After` beyond this is not believed: the buffer would only overflow meanwhile. */
const LONGEST_WAIT_MS = 3_600_000;

/** Between half and all of 250 ms × 2^attempt, at most 30 s: a restarted gateway is not met by all its clients at once. */
export function backoffMs(attempt: number): number {
  const ceiling = Math.min(LONGEST_DELAY_MS, FIRST_DELAY_MS * 2 ** attempt);
  return (ceiling * (1 + Math.random())) / 2;
}

/**
 * `Retry-After` as milliseconds from now: whole seconds or an HTTP date (RFC 9110, section 10.2.3).
 * @returns undefined where there is none, one that cannot be read, or no time left to wait
 */
export function retryAfterMs(header: string | null | undefined, now: number): number | undefined {
  if (!header) return undefined;
  // `Date.parse` takes `-1` and `1.5` for dates as well: past ones, which ask for nothing.
  const delay = /^\d+$/.test(header) ? Number(header) * 1000 : Date.parse(header) - now;
  return delay > 0 ? Math.min(delay, LONGEST_WAIT_MS) : undefined;
}
