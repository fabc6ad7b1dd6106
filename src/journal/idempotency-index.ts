/**
 * Remembers the answers given per idempotency key, so that a client's retry counts once, across restarts too
 * (draft-ietf-httpapi-idempotency-key-header-07). Only 200s are remembered, for a day or up to a number of keys.
 */
import type { IdempotencyIndex } from '../core/idempotency.ts';
import type { Journal, Position } from '../core/journal.ts';
import type { IdempotencyClaim } from '../core/phases.ts';
import type { Clock, Log, Telemetry, Timer } from '../core/ports.ts';
import { Refusal } from '../core/refusal.ts';
import { loadAnswers, saveAnswers } from './idempotency-snapshot.ts';
import { rememberedAnswers } from './remembered-answers.ts';

export interface IdempotencyIndexOptions {
  /** Where snapshots lie; made where it is missing. */
  readonly directory: string;
  readonly journal: Journal;
  readonly clock: Clock;
  readonly log: Log;
  /** Takes `mcp_gateway_idempotency_*`. */
  readonly telemetry?: Telemetry;
  /** How long an answer is remembered. Milliseconds; default 24 hours. */
  readonly ttlMs?: number;
  /** Keys remembered; beyond it the oldest go, counted. Default 100,000. */
  readonly maxKeys?: number;
  /** Bytes that keys and answers may take in memory; beyond it the oldest go, counted. Default 64 MiB. */
  readonly maxBytes?: number;
  /** How often a snapshot is written, so that the journal behind it may be trimmed. Milliseconds; default 10,000. */
  readonly snapshotIntervalMs?: number;
}

export interface DurableIdempotencyIndex extends IdempotencyIndex {
  /** How far the journal may be trimmed: what the snapshot on disk covers. */
  readonly trimmable: () => Position;
  /** Writes a snapshot now, or waits for the one that is being written. Never rejects: a failure is logged. */
  readonly snapshot: () => Promise<void>;
  /** Writes the last snapshot and no more. Call it before the journal is closed. */
  readonly stop: () => Promise<void>;
}

const DAY_MS = 86_400_000;

/** Reads what is remembered, then writes snapshots at its interval until `stop`. */
export async function openIdempotencyIndex(options: IdempotencyIndexOptions): Promise<DurableIdempotencyIndex> {
  const { directory, journal, clock, telemetry } = options;
  const log = options.log.child({ part: 'idempotency' });
  const intervalMs = options.snapshotIntervalMs ?? 10_000;
  const answers = rememberedAnswers({
    ttlMs: options.ttlMs ?? DAY_MS,
    maxKeys: options.maxKeys ?? 100_000,
    maxBytes: options.maxBytes ?? 64 * 1024 * 1024,
  });
  /** Claims whose requests are under way, by key; a claim is told from a later one of the same key by its identity. */
  const inFlight = new Map<string, IdempotencyClaim>();
  let saved: Position = { sequence: 0, count: 0 };
  let saving: Promise<void> | undefined;
  let failing = false;
  let stopped = false;
  let timer: Timer | undefined;

  function end(keyId: string, claim: IdempotencyClaim): void {
    const name = `${keyId} ${claim.key}`;
    if (inFlight.get(name) === claim) inFlight.delete(name);
  }

  async function save(): Promise<void> {
    // Requests whose records are durable up to here settle within this turn of the event loop: they wait for nothing else.
    const position = journal.head();
    await new Promise((resolve) => setImmediate(resolve));
    answers.expire(clock.now());
    try {
      await saveAnswers(directory, answers, journal.id, position);
      saved = position;
      if (failing) log.info({ directory }, 'idempotency snapshots can be written again');
      failing = false;
    } catch (error) {
      if (!failing)
        log.error(
          { directory, err: error },
          'no idempotency snapshot can be written; the journal keeps what it needs until one can',
        );
      failing = true;
    }
  }

  function snapshot(): Promise<void> {
    saving ??= save().finally(() => {
      saving = undefined;
    });
    return saving;
  }

  function schedule(): void {
    if (stopped) return;
    timer = clock.after(intervalMs, () => {
      if (journal.head().sequence === saved.sequence) schedule();
      else snapshot().then(schedule, schedule);
    });
  }

  const loaded = await loadAnswers(directory, answers, journal, log);
  if (loaded === undefined) await snapshot();
  else saved = loaded;
  schedule();
  telemetry?.gauge(
    { name: 'mcp_gateway_idempotency_keys', help: 'Idempotency keys whose answers are remembered.' },
    () => answers.size(),
  );
  telemetry?.gauge(
    { name: 'mcp_gateway_idempotency_bytes', unit: 'By', help: 'Memory taken by remembered answers, about.' },
    () => answers.bytes(),
  );
  telemetry?.observedCounter(
    {
      name: 'mcp_gateway_idempotency_evicted_total',
      help: 'Answers forgotten before their time, since their number or size was at its limit: a late retry counts again.',
    },
    () => answers.evicted(),
  );

  return {
    claim: (keyId, claim) => {
      const name = `${keyId} ${claim.key}`;
      if (inFlight.has(name)) {
        throw new Refusal(
          'conflict',
          'A request with this Idempotency-Key is still being processed. Wait for its answer, then send this one again.',
          { retryAfterSeconds: 1 },
        );
      }
      const answer = answers.get(keyId, claim.key, clock.now());
      if (answer === undefined) {
        inFlight.set(name, claim);
        return undefined;
      }
      if (answer.bodyHash !== claim.bodyHash) {
        throw new Refusal(
          'invalid',
          'This Idempotency-Key was used for another body. Send a retry with the bytes of the first request, or a new batch under a new key.',
        );
      }
      return answer.receipt;
    },
    settle: (keyId, claim, receipt, _sequence, at) => {
      end(keyId, claim);
      answers.set(keyId, claim, receipt, at);
    },
    release: end,
    trimmable: () => saved,
    snapshot,
    stop: async () => {
      stopped = true;
      timer?.cancel();
      await saving;
      if (journal.head().sequence !== saved.sequence) await snapshot();
    },
  };
}
