/** What the HTTP surface is given: the chain, the keys, and what other parts of the gateway tell about themselves. */
import type { KeyStore, Scope } from '../core/key-store.ts';
import type { Client, Receipt, RequestHeaders, Submission, Tally } from '../core/phases.ts';
import type { Clock, Log } from '../core/ports.ts';
import type { DeliveredEvent } from '../core/sink.ts';
import type { RateLimitState } from '../processors/rate-limit.ts';
import type { History } from '../sinks/sqlite/history.ts';
import type { Retention } from '../sinks/sqlite/retention.ts';

/** Whether requests should be sent here, and if not, why not. */
export interface Readiness {
  readonly ready: boolean;
  /** What is wrong, one line per part: `journal: the disk is full`. There may be trouble though it is ready. */
  readonly problems: readonly string[];
}

export interface HttpDependencies {
  readonly name: string;
  readonly version: string;
  readonly log: Log;
  readonly clock: Clock;
  /** The chain: gives a receipt, or throws a Refusal. */
  readonly run: (submission: Submission) => Promise<Receipt>;
  /** Opens the books of one request. */
  readonly openTally: () => Tally;
  /**
   * Checks the key of a request outside of the chain; one of the scopes is enough.
   * @throws Refusal `unauthenticated`, `forbidden` or `rate_limited`
   */
  readonly authenticate: (
    headers: RequestHeaders,
    remoteAddress: string,
    needed: readonly Scope[],
    purpose: string,
  ) => Client;
  readonly keys: KeyStore;
  readonly retention: Retention;
  readonly history: History;
  readonly rateLimitState: (client: Client) => RateLimitState;
  readonly readiness: () => Readiness;
  /** Writes what waits in the sinks' deliveries; resolves once it is written. */
  readonly flush: () => Promise<void>;
  /** Calls back with the events of every accepted batch until the returned function is called. */
  readonly tail: (listener: (events: readonly DeliveredEvent[]) => void) => () => void;
}
