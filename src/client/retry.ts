/** When to try again: exponential backoff with jitter, and the server's own word where it gives one. */
import { between } from './encode.ts';

/** Between half and all of 250 ms × 2^attempt, at most 30 s: a restarted gateway is not met by all its clients at once. */
export function backoffMs(attempt: number): number {
  const FIRST_MS = 250;
  const LONGEST_MS = 30_000;
  const ceiling = Math.min(LONGEST_MS, FIRST_MS * 2 ** attempt);
  return (ceiling * (1 + Math.random())) / 2;
}

/**
 * `Retry-After` as milliseconds from now: whole seconds or an HTTP date (RFC 9110, section 10.2.3).
 * @returns 0 where there is none, one that cannot be read, or no time left to wait
 */
export function retryAfterMs(header: string | null | undefined, now: number): number {
  /** A longer wait is not believed: the buffer would only overflow meanwhile. */
  const LONGEST_MS = 3_600_000;
  const text = header ?? '';
  // `Date.parse` takes `-1` and `1.5` for dates as well: past ones, which ask for nothing.
  return between(/^\d+$/.test(text) ? Number(text) * 1000 : Date.parse(text) - now, 0, 0, LONGEST_MS);
}
