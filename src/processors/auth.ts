/** Stage 1: who sends this? Finds the API key in memory by its SHA-256, before a byte of the body is read. */
import { hash } from 'node:crypto';
import { enterPhase } from '../core/brand.ts';
import type { KeyRecord, Scope } from '../core/key-store.ts';
import type { Authenticated, Client, RequestHeaders, Submission } from '../core/phases.ts';
import type { Counter } from '../core/ports.ts';
import { builtIn, type Processor, type ProcessorContext } from '../core/processor.ts';
import { Refusal } from '../core/refusal.ts';
import { checkOptions, checkPositive } from '../core/options.ts';
import { addressBlock, addressClass } from '../core/remote-address.ts';
import { createTokenBuckets } from '../core/token-buckets.ts';

export interface AuthOptions {
  /**
   * Failed attempts a minute that one remote address (IPv6: one /64) is answered with 401; further ones get 429.
   * A valid key is never refused for them. Default 60.
   */
  readonly failuresPerMinutePerAddress?: number;
  /** Addresses remembered for that, the least recently failing one forgotten first. Default 10,000. */
  readonly maxAddresses?: number;
}

export interface AuthProcessor extends Processor<Submission, Authenticated> {
  /**
   * The same check for the rest of the HTTP surface.
   * @param needed one of these scopes is enough
   * @param purpose what the scopes are needed for, named in the refusal: `GET /rate-limit`
   * @throws Refusal `unauthenticated`, `forbidden` or `rate_limited`
   */
  readonly authenticate: (
    headers: RequestHeaders,
    remoteAddress: string,
    needed: readonly Scope[],
    purpose: string,
  ) => Client;
}

const CHALLENGE = 'Bearer realm="mcp-metrics"';
const INGEST: readonly Scope[] = ['ingest'];

/** Authenticates by `X-API-Key` or `Authorization: Bearer`; sending metrics needs the scope `ingest`. */
export function auth(options: AuthOptions = {}): AuthProcessor {
  checkOptions('auth', options, { failuresPerMinutePerAddress: true, maxAddresses: true });
  checkPositive('auth', { ...options });
  const failuresPerMinute = options.failuresPerMinutePerAddress ?? 60;
  const failures = createTokenBuckets(options.maxAddresses ?? 10_000);
  let context: ProcessorContext | undefined;
  let unauthenticated: Counter | undefined;

  const refuse = (detail: string, remoteAddress: string, challenge: string): Refusal => {
    unauthenticated?.add(1, { address_class: addressClass(remoteAddress) });
    const bucket = failures.take(addressBlock(remoteAddress), failuresPerMinute, context!.clock.monotonic());
    if (bucket.granted) return new Refusal('unauthenticated', detail, { headers: { 'WWW-Authenticate': challenge } });
    return new Refusal(
      'rate_limited',
      `${detail} More than ${failuresPerMinute} failed attempts a minute came from this address: wait, and fix the key.`,
      { retryAfterSeconds: Math.max(1, Math.ceil(bucket.nextTokenMs / 1000)) },
    );
  };

  const authenticate: AuthProcessor['authenticate'] = (headers, remoteAddress, needed, purpose) => {
    if (context === undefined) throw new Error('auth: process() was called before start()');
    const secret = readKey(headers);
    if (secret === undefined) {
      throw refuse(
        'No API key: send it in the header X-API-Key, or as Authorization: Bearer.',
        remoteAddress,
        CHALLENGE,
      );
    }
    const sha256 = hashKey(secret);
    const record = context.keys.find(sha256);
    if (record === undefined) {
      const inactive = context.keys.inactive?.(sha256);
      const detail =
        inactive === undefined
          ? 'Unknown API key: check that it was copied whole, or ask the operator of this gateway for one.'
          : `Inactive API key: it ${inactive === 'revoked' ? 'was revoked' : 'has expired'}; ask the operator of this gateway for a new one.`;
      throw refuse(detail, remoteAddress, `${CHALLENGE}, error="invalid_token"`);
    }
    if (!needed.some((scope) => record.scopes.includes(scope))) throw forbidden(record, needed, purpose);
    context.keys.recordUse(record.id, context.clock.now());
    return { keyId: record.id, service: record.service, scopes: record.scopes, limits: record.limits };
  };

  return {
    name: 'auth',
    [builtIn]: 'auth',
    authenticate,
    start: (given) => {
      context = given;
      given.telemetry.gauge(
        {
          name: 'mcp_gateway_failing_addresses',
          help: 'Remote addresses whose failed authentication is remembered.',
          unit: '{address}',
        },
        failures.size,
      );
      unauthenticated = given.telemetry.counter({
        name: 'mcp_gateway_unauthenticated_requests_total',
        help: 'Requests without a valid API key, by class of remote address.',
        unit: '{request}',
      });
    },
    process: (submission) => {
      const client = authenticate(submission.headers, submission.remoteAddress, INGEST, 'POST /metrics');
      return enterPhase<Authenticated>({ submission, client });
    },
  };
}

/** The key that a request presents: `X-API-Key`, else the token of `Authorization: Bearer` (RFC 6750, section 2.1). */
export function readKey(headers: RequestHeaders): string | undefined {
  const key = headers.get('x-api-key');
  if (key !== undefined && key !== '') return key;
  const authorization = headers.get('authorization');
  return authorization === undefined ? undefined : /^bearer +(\S.*)$/i.exec(authorization)?.[1];
}

/** Header values arrive as one character per byte, and an environment's key may be any text, in UTF-8. */
const hashKey = (secret: string): string => hash('sha256', Buffer.from(secret, 'latin1'));

function forbidden(record: KeyRecord, needed: readonly Scope[], purpose: string): Refusal {
  const has = record.scopes.length === 0 ? 'no scope' : `scope ${record.scopes.join(', ')}`;
  return new Refusal('forbidden', `${purpose} needs a key with scope ${needed.join(' or ')}; this one has ${has}.`, {
    extensions: { needed },
  });
}
