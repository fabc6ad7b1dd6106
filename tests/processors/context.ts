/** What a stage is given, with a virtual clock; and submissions without a socket. */
import { enterPhase } from '../../src/core/brand.ts';
import type { JournalEntry, JournalRecord } from '../../src/core/journal.ts';
import type { Authenticated, Client, Outcome, Submission } from '../../src/core/phases.ts';
import type { Log } from '../../src/core/ports.ts';
import type { ProcessorContext } from '../../src/core/processor.ts';
import { createTelemetry } from '../../src/telemetry/telemetry.ts';
import { memoryIdempotency } from '../support/memory-idempotency.ts';
import { type MemoryKeys, memoryKeys } from '../support/memory-keys.ts';
import { type VirtualClock, virtualClock } from '../support/virtual-clock.ts';

export interface TestContext extends ProcessorContext {
  readonly clock: VirtualClock;
  readonly keys: MemoryKeys;
  readonly idempotency: ReturnType<typeof memoryIdempotency>;
  readonly appended: JournalEntry[];
}

const quiet: Log = { debug: () => {}, info: () => {}, warn: () => {}, error: () => {}, child: () => quiet };

export function testContext(more: Partial<ProcessorContext> = {}): TestContext {
  const appended: JournalEntry[] = [];
  let count = 0;
  return {
    log: quiet,
    clock: virtualClock(),
    telemetry: createTelemetry(),
    keys: memoryKeys(),
    idempotency: memoryIdempotency(),
    append: (entry) => {
      appended.push(entry);
      count += entry.metrics;
      return Promise.resolve<JournalRecord>({ ...entry, sequence: appended.length, count });
    },
    builtInOnly: true,
    appended,
    ...more,
  } as TestContext;
}

export interface TestSubmission extends Submission {
  /** What the stages told the books, in order. */
  readonly books: (readonly [string, ...unknown[]])[];
  readonly reads: () => number;
}

export function submission(
  given: {
    headers?: Record<string, string>;
    body?: string | Uint8Array;
    remoteAddress?: string;
    receivedAt?: number;
    requestId?: string;
  } = {},
): TestSubmission {
  const books: [string, ...unknown[]][] = [];
  let reads = 0;
  const { headers = {}, body = '', remoteAddress = '192.0.2.1', receivedAt = Date.UTC(2026, 0, 1) } = given;
  return enterPhase<TestSubmission>({
    requestId: given.requestId ?? `req_${'0'.repeat(32)}`,
    receivedAt,
    protocol: 'json',
    headers: { get: (name) => headers[name] },
    remoteAddress,
    body: {
      read: () => {
        reads += 1;
        return Promise.resolve(Buffer.from(body));
      },
    },
    answerHeaders: new Map(),
    tally: {
      received: (metrics) => books.push(['received', metrics]),
      rejected: (reason, metrics) => books.push(['rejected', reason, metrics]),
      dropped: (stage, metrics) => books.push(['dropped', stage, metrics]),
      settle: (outcome: Outcome) => books.push(['settle', outcome]),
    },
    books,
    reads: () => reads,
  });
}

export const client = (more: Partial<Client> = {}): Client => ({
  keyId: 'key_1',
  service: 'auth-server',
  scopes: ['ingest'],
  limits: {},
  ...more,
});

export const authenticated = (from = submission(), by = client()): Authenticated =>
  enterPhase<Authenticated>({ submission: from, client: by });
