/** Exponential backoff with full jitter in its upper half, without an end. */

export interface BackoffOptions {
  /** First delay, milliseconds. Default 100. */
  readonly initialMs?: number;
  /** Longest delay, milliseconds. Default 30,000. */
  readonly maxMs?: number;
}

/** The delay before attempt `failures + 1`; between half and the whole of the exponential step. */
export function backoffDelay(
  failures: number,
  { initialMs = 100, maxMs = 30_000 }: BackoffOptions = {},
  random = Math.random,
): number {
  const step = Math.min(maxMs, initialMs * 2 ** Math.min(failures - 1, 30));
  return step / 2 + (step / 2) * random();
}
