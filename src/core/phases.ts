/**
 * What each stage of the chain sees. Every phase has a brand of its own and none extends the one before it, so a
 * missing, repeated or misplaced stage is a type error.
 */
import type { MetricEvent, OtlpPoint, RejectedItem, Resource } from './metric.ts';
import type { Limits, Scope } from './key-store.ts';
import type { RefusalCode } from './refusal.ts';

declare const phase: unique symbol;

/** Request headers by lower-case name. */
export interface RequestHeaders {
  readonly get: (name: string) => string | undefined;
}

/** The request's body, unread. Nothing is read from the socket before `read` is called. */
export interface RequestBody {
  /**
   * Reads the whole body, decompressed where `Content-Encoding` says so.
   * @param maxBytes the limit, applied to the bytes on the wire and again after decompression
   * @throws Refusal `too_large`, `malformed`, `unsupported_media` or `timeout`
   */
  readonly read: (maxBytes: number) => Promise<Uint8Array>;
}

/** A request as it came in: nothing of the body is read yet. */
export interface Submission {
  readonly [phase]: 'submission';
  /** `req_` and 32 hex digits; every answer carries it. */
  readonly requestId: string;
  /** Milliseconds since the Unix epoch. */
  readonly receivedAt: number;
  /** How the body is to be read. OTLP is to follow. */
  readonly protocol: 'json';
  readonly headers: RequestHeaders;
  readonly remoteAddress: string;
  readonly body: RequestBody;
  /** Headers for the answer, whether it is a receipt or a refusal. Stages add to it. */
  readonly answerHeaders: Map<string, string>;
  readonly tally: Tally;
}

/** The books of one request; the runner settles them into the gateway's counters (docs/guarantees.md). */
export interface Tally {
  /** Call once, as soon as the number of metrics in the body is known. */
  readonly received: (metrics: number) => void;
  /** Counts items that were turned away one by one. */
  readonly rejected: (reason: RejectedItem['reason'], metrics: number) => void;
  /** Counts what a stage of the user's own left out. */
  readonly dropped: (stage: string, metrics: number) => void;
  /** Closes the books: what is still open of the received metrics goes to the outcome. Call once. */
  readonly settle: (outcome: Outcome) => void;
}

/** How a request ended: `ok`, answered again for its idempotency key, or refused with a code. */
export type Outcome =
  { readonly kind: 'ok' } | { readonly kind: 'replayed' } | { readonly kind: 'refused'; readonly code: RefusalCode };

/** Who sent the request, as its key proves. */
export interface Client {
  /** The key's public id; the secret itself is never kept. */
  readonly keyId: string;
  readonly service: string;
  readonly scopes: readonly Scope[];
  readonly limits: Limits;
}

export interface Authenticated {
  readonly [phase]: 'authenticated';
  readonly submission: Submission;
  readonly client: Client;
}

/** Within its rate limit. */
export interface Admitted {
  readonly [phase]: 'admitted';
  readonly submission: Submission;
  readonly client: Client;
}

/** A request's metrics, and what became of those that were turned away. */
export interface MetricBatch {
  readonly submission: Submission;
  readonly client: Client;
  readonly resource: Resource;
  /** The accepted events. Read on first access: a chain of built-in stages never pays for it. */
  readonly events: readonly MetricEvent[];
  readonly points: readonly OtlpPoint[];
  /** How many items `events` holds, without reading them. User stages need not keep it: the buffer counts anew. */
  readonly accepted: number;
  readonly rejected: readonly RejectedItem[];
  /** `metrics[3].dimensions.a-b: …`, at most 100. */
  readonly errors: readonly string[];
  /** Errors beyond those in `errors`. */
  readonly errorsOmitted: number;
  readonly warnings: readonly string[];
  /** The body as it was sent (decompressed), and the idempotency claim on it where the client asked for one. */
  readonly source: BatchSource;
}

export interface BatchSource {
  readonly format: 'json';
  readonly bytes: Uint8Array;
  readonly idempotency?: IdempotencyClaim;
}

/** A claim on an idempotency key, held while its request is in flight. */
export interface IdempotencyClaim {
  readonly key: string;
  /** SHA-256 of the decompressed body, hexadecimal. */
  readonly bodyHash: string;
}

export interface Validated extends MetricBatch {
  readonly [phase]: 'validated';
}

export interface Enriched extends MetricBatch {
  readonly [phase]: 'enriched';
  /** The service that the key belongs to, beside the one that the batch claims. */
  readonly keyService: string;
}

/** The promise: given only once the batch is durable. Also the answer that an idempotency key remembers. */
export interface Receipt {
  readonly [phase]?: 'receipt';
  readonly requestId: string;
  /** Metrics that are on disk. */
  readonly accepted: number;
  readonly rejected: number;
  /** Metrics that a stage of the user's own left out on purpose. */
  readonly dropped: number;
  readonly errors: readonly string[];
  readonly errorsOmitted: number;
  readonly warnings: readonly string[];
}
