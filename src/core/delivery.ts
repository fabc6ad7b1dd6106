/**
 * Brings the journal's records to one sink: in order, at the sink's own pace, with retries that never end. What the
 * sink can never take is narrowed down to single events by halving the batch and set aside; it blocks nothing behind it.
 */
import { backoffDelay, type BackoffOptions } from './backoff.ts';
import { boundedWrite } from './bounded-write.ts';
import { createPace } from './delivery/pace.ts';
import { createProgress, type ProgressCounts } from './delivery/progress.ts';
import { createRounds } from './delivery/round.ts';
import { createTrouble, type Failing } from './delivery/trouble.ts';
import type { Checkpoint, Position } from './journal.ts';
import type { Clock, Log } from './ports.ts';
import type { RecentRecords } from './recent-records.ts';
import { redriveAll, type RedriveResult, takesLate } from './redrive.ts';
import type { SetAside } from './set-aside.ts';
import type { DeliveredBatch, Rewind, Sink } from './sink.ts';

export interface DeliveryOptions {
  readonly sink: Sink;
  readonly records: RecentRecords;
  readonly journalId: string;
  /** Where to go on: everything up to here is done. */
  readonly position: Position;
  readonly setAside: SetAside;
  /** The position in this journal that a checkpoint of the sink's own means; undefined for one that does not fit. */
  readonly locate: (checkpoint: Checkpoint) => Position | undefined;
  readonly clock: Clock;
  readonly log: Log;
  readonly backoff?: BackoffOptions;
  /** Called when a write has ended, for the histogram and the failure counter. */
  readonly onWrite?: (durationMs: number, failed: boolean) => void;
  /** After so long without an answer the write's signal is aborted. Milliseconds; default 60,000. */
  readonly writeTimeoutMs?: number;
}

export interface DeliveryCounts extends ProgressCounts {
  /** Events that were set aside, and that the sink took after all when they were driven again. They stay in `setAside`. */
  readonly redriven: number;
}

export interface Delivery {
  readonly sink: Sink;
  readonly setAside: SetAside;
  /** Everything up to here is delivered, set aside or skipped. */
  readonly position: () => Checkpoint;
  readonly counts: () => DeliveryCounts;
  readonly queued: () => number;
  /** Milliseconds that the oldest queued metric has waited; 0 with an empty queue. */
  readonly queueAgeMs: () => number;
  readonly trouble: () => Failing | undefined;
  /** Resolves once everything that is in the journal now has been dealt with; rejects when `signal` aborts before. */
  readonly flush: (signal?: AbortSignal) => Promise<void>;
  /** Passes over what lies up to and with `position`, at once: the journal cannot hold it any longer. */
  readonly skip: (position: Position) => void;
  /**
   * Tries the events that were set aside once more.
   * @throws what the sink throws in an outage; Error for a sink that cannot take them out of order, or at stop
   */
  readonly redrive: () => Promise<RedriveResult>;
  /** Goes back to where the sink says that it stands. */
  readonly rewind: (rewind: Rewind) => void;
  readonly start: () => void;
  /** Ends after the write under way, which is aborted when `signal` says so. */
  readonly stop: (signal?: AbortSignal) => Promise<void>;
}

export function createDelivery(options: DeliveryOptions): Delivery {
  const { sink, records, journalId, setAside, clock, log } = options;
  const { maxMetrics = 1000, maxDelayMs = 1000 } = sink.batching ?? {};

  const progress = createProgress(options.position, records.head);
  const trouble = createTrouble({ sink: sink.name, queued: progress.queued, clock, log });
  const writes = boundedWrite({
    clock,
    timeoutMs: options.writeTimeoutMs ?? 60_000,
    onTimeout: trouble.late,
    onEnd: (durationMs, failed) => options.onWrite?.(durationMs, failed),
  });
  const write = (batch: DeliveredBatch): Promise<void> => writes.run(sink, batch);

  /** What is asked from outside waits here for the end of the round under way. */
  let redrives: PromiseWithResolvers<RedriveResult>[] = [];
  let rewound: Rewind | undefined;
  const asked = (): boolean => redrives.length > 0 || rewound !== undefined;
  const pace = createPace({
    batching: { maxMetrics, maxDelayMs },
    records,
    progress,
    clock,
    asked,
    hasty: () => rounds.narrowing(),
  });
  const { locate, backoff } = options;
  const rounds = createRounds({
    sink,
    maxMetrics,
    records,
    journalId,
    locate,
    setAside,
    write,
    progress,
    pace,
    trouble,
    backoff,
    clock,
    log,
  });
  let redriven = 0;
  let ended: Promise<void> | undefined;

  const redriveNow = async (): Promise<void> => {
    const waiting = redrives;
    redrives = [];
    try {
      if (!takesLate(sink))
        throw new Error(`sink "${sink.name}" keeps its own checkpoint and does not say takesLate: it would drop them`);
      const result = await redriveAll(setAside, { journalId, ...progress.at() }, async (batch) => {
        await write(batch);
        redriven += 1;
      });
      for (const { resolve } of waiting) resolve(result);
    } catch (error) {
      for (const { reject } of waiting) reject(error);
    }
  };

  const round = async (): Promise<void> => {
    const rewind = rewound;
    rewound = undefined;
    if (rewind !== undefined) return rounds.rewind(rewind);
    if (redrives.length > 0) await redriveNow();
    await rounds.next();
  };

  const run = async (): Promise<void> => {
    for (;;) {
      await pace.untilDue();
      if (pace.stopped()) return;
      try {
        await round();
      } catch (error) {
        await pace.sleep(backoffDelay(trouble.failedOutside(error), backoff));
      }
    }
  };

  return {
    sink,
    setAside,
    position: () => ({ journalId, ...progress.at() }),
    counts: () => ({ ...progress.counts(), redriven }),
    queued: progress.queued,
    queueAgeMs: () => {
      if (progress.queued() <= 0) return 0;
      const since = records.since(progress.at().sequence);
      if (since !== undefined) return Math.max(0, clock.monotonic() - since);
      const behindSince = rounds.behindSince();
      return behindSince === undefined ? 0 : Math.max(0, clock.now() - behindSince);
    },
    trouble: trouble.now,
    flush: (signal) => {
      const through = records.head().count;
      pace.hurry(through);
      return progress.reach(through, signal);
    },
    skip: (to) => {
      if (progress.advance(to, 'skipped') === 0) return;
      // A write under way is about what was passed over: without it the sink comes to newer metrics sooner.
      writes.abort(new Error('the journal could not hold these metrics any longer; they were skipped'));
      pace.wake();
    },
    redrive: () => {
      if (pace.stopped()) return Promise.reject(new Error(STOPS));
      const waiting = Promise.withResolvers<RedriveResult>();
      redrives.push(waiting);
      pace.wake();
      return waiting.promise;
    },
    rewind: (rewind) => {
      rewound = rewind;
      pace.wake();
    },
    start: () => {
      if (!pace.stopped()) ended ??= run();
    },
    stop: async (signal) => {
      pace.stop();
      const abort = (): void => writes.abort(new Error(STOPS));
      if (signal?.aborted === true) abort();
      signal?.addEventListener('abort', abort, { once: true });
      await ended;
      signal?.removeEventListener('abort', abort);
      for (const { reject } of redrives.splice(0)) reject(new Error(STOPS));
    },
  };
}

const STOPS = 'the gateway stops';
