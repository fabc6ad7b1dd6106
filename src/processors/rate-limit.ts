/** Stage 2: is the client within its limit? One token bucket per key; the answer says how much is left. */
import { enterPhase } from '../core/brand.ts';
import type { Admitted, Authenticated, Client } from '../core/phases.ts';
import type { Clock, Counter } from '../core/ports.ts';
import { builtIn, type Processor } from '../core/processor.ts';
import { Refusal } from '../core/refusal.ts';
import { checkOptions, checkPositive } from '../core/options.ts';
import { type BucketState, createTokenBuckets } from '../core/token-buckets.ts';

export interface RateLimitOptions {
  /** Requests a minute for each key that has no limit of its own; also the largest burst. Default 1,000. */
  readonly perMinute?: number;
  /** Keys whose bucket is remembered, the least recently used one forgotten first. Default 100,000. */
  readonly maxKeys?: number;
}

export interface RateLimitState {
  /** Requests a minute. */
  readonly limit: number;
  /** Requests that could be sent now, fractions included. */
  readonly tokens: number;
  /** Milliseconds until the bucket is full. */
  readonly fullMs: number;
}

export interface RateLimitProcessor extends Processor<Authenticated, Admitted> {
  /** Where a client stands, without taking a token. */
  readonly state: (client: Pick<Client, 'keyId' | 'limits'>) => RateLimitState;
}

const WINDOW_SECONDS = 60;

/** Limits requests per key: fractional refill, burst equal to the limit, `Client.limits` before the default. */
export function rateLimit(options: RateLimitOptions = {}): RateLimitProcessor {
  checkOptions('rateLimit', options, { perMinute: true, maxKeys: true });
  checkPositive('rateLimit', { ...options });
  const perMinute = options.perMinute ?? 1000;
  const buckets = createTokenBuckets(options.maxKeys ?? 100_000);
  let clock: Clock | undefined;
  let limited: Counter | undefined;
  const limitOf = (client: Pick<Client, 'limits'>): number => client.limits.requestsPerMinute ?? perMinute;

  return {
    name: 'rateLimit',
    [builtIn]: 'rateLimit',
    start: (context) => {
      clock = context.clock;
      context.telemetry.gauge(
        { name: 'mcp_gateway_rate_limit_keys', help: 'Keys whose rate limit is remembered.', unit: '{key}' },
        buckets.size,
      );
      limited = context.telemetry.counter({
        name: 'mcp_gateway_rate_limited_requests_total',
        help: 'Requests refused for the rate limit of their key, by the public id of the key and its service.',
        unit: '{request}',
      });
    },
    state: (client) => buckets.peek(client.keyId, limitOf(client), clock?.monotonic() ?? 0),
    process: ({ submission, client }) => {
      if (clock === undefined) throw new Error('rateLimit: process() was called before start()');
      const bucket = buckets.take(client.keyId, limitOf(client), clock.monotonic());
      tell(submission.answerHeaders, bucket);
      if (!bucket.granted) {
        limited?.add(1, { service: client.service, key: client.keyId });
        throw new Refusal(
          'rate_limited',
          `Rate limit of ${bucket.limit} requests a minute exceeded. Wait as Retry-After says, and send more metrics per request.`,
          { retryAfterSeconds: Math.max(1, Math.ceil(bucket.nextTokenMs / 1000)) },
        );
      }
      return enterPhase<Admitted>({ submission, client });
    },
  };
}

/**
 * `RateLimit` and `RateLimit-Policy` as in draft-ietf-httpapi-ratelimit-headers-11 (`t`: seconds until more quota is
 * there), and the two fields that deployed tools read.
 */
function tell(headers: Map<string, string>, bucket: BucketState): void {
  const remaining = Math.floor(bucket.tokens + 1e-6);
  headers.set('X-RateLimit-Limit', String(bucket.limit));
  headers.set('X-RateLimit-Remaining', String(remaining));
  headers.set('RateLimit-Policy', `"key";q=${bucket.limit};w=${WINDOW_SECONDS}`);
  headers.set('RateLimit', `"key";r=${remaining};t=${Math.ceil(bucket.nextTokenMs / 1000)}`);
}
