/**
 * Token buckets by name: a minute's worth of tokens at most, refilled continuously. Each bucket is one number, the time
 * at which it is full again (the generic cell rate algorithm), so fractions of tokens are never rounded away.
 */

export interface BucketState {
  /** Tokens a minute, and the most that the bucket holds. */
  readonly limit: number;
  readonly granted: boolean;
  /** Tokens there now, fractions included. */
  readonly tokens: number;
  /** Milliseconds until one more whole token is there; 0 for a full bucket. */
  readonly nextTokenMs: number;
  /** Milliseconds until the bucket is full. */
  readonly fullMs: number;
}

export interface TokenBuckets {
  /** Takes one token if there is one. */
  readonly take: (name: string, perMinute: number, now: number) => BucketState;
  /** Looks without taking. */
  readonly peek: (name: string, perMinute: number, now: number) => BucketState;
  readonly size: () => number;
}

const MINUTE_MS = 60_000;
/** A millionth of a token: what rounding may cost, so that waiting exactly `nextTokenMs` always suffices. */
const EPSILON = 1e-6;

/** @param maxBuckets remembered at most; beyond it the least recently used one is forgotten and starts full again */
export function createTokenBuckets(maxBuckets: number): TokenBuckets {
  /** Name → when the bucket is full, on the monotonic clock. In order of use. */
  const fullAt = new Map<string, number>();

  const state = (granted: boolean, missingMs: number, perMinute: number): BucketState => {
    if (!(perMinute > 0)) return { limit: 0, granted: false, tokens: 0, nextTokenMs: MINUTE_MS, fullMs: MINUTE_MS };
    const msPerToken = MINUTE_MS / perMinute;
    const capacity = Math.max(1, perMinute);
    const tokens = Math.max(0, capacity - missingMs / msPerToken);
    const nextTokenMs = missingMs <= 0 ? 0 : (Math.floor(tokens + EPSILON) + 1 - tokens) * msPerToken;
    return { limit: perMinute, granted, tokens, nextTokenMs: Math.min(nextTokenMs, missingMs), fullMs: missingMs };
  };

  const missing = (name: string, now: number): number => Math.max(0, (fullAt.get(name) ?? now) - now);

  return {
    take: (name, perMinute, now) => {
      const before = missing(name, now);
      const msPerToken = MINUTE_MS / perMinute;
      const after = before + msPerToken;
      const granted = perMinute > 0 && after <= Math.max(1, perMinute) * msPerToken + EPSILON * msPerToken;
      if (!granted) return state(false, before, perMinute);
      fullAt.delete(name);
      if (fullAt.size >= maxBuckets) {
        const oldest = fullAt.keys().next();
        if (oldest.done !== true) fullAt.delete(oldest.value);
      }
      fullAt.set(name, now + after);
      return state(true, after, perMinute);
    },
    peek: (name, perMinute, now) => {
      const before = missing(name, now);
      const there = state(false, before, perMinute);
      return { ...there, granted: there.tokens >= 1 - EPSILON };
    },
    size: () => fullAt.size,
  };
}
