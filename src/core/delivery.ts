/**
 * Brings the journal's records to one sink: in order, at the sink's own pace, with retries that never end. What the
 * sink can never take is narrowed down to single events by halving the batch and set aside; it blocks nothing behind it.
 */
import { backoffDelay, type BackoffOptions } from './backoff.ts';
import { cutBatch, makeBatch } from './batch.ts';
import { boundedWrite } from './bounded-write.ts';
import type { Checkpoint, Position } from './journal.ts';
import type { Clock, Log } from './ports.ts';
import type { RecentRecords } from './recent-records.ts';
import { keptOf, redriveAll, type RedriveResult, takesLate } from './redrive.ts';
import type { SetAside, SetAsideEvent } from './set-aside.ts';
import { type DeliveredBatch, Rewind, type Sink, Unacceptable } from './sink.ts';

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

/** Metrics that this delivery has dealt with since it began. */
export interface DeliveryCounts {
  readonly delivered: number;
  readonly setAside: number;
  /** Passed over because the journal no longer had them or could not hold them. */
  readonly skipped: number;
  /** Between the position at start and the journal's head at start, and what came again after the sink went back. */
  readonly recovered: number;
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
  /** The last failure, until a write succeeds. */
  readonly trouble: () => { readonly message: string; readonly failures: number; readonly sinceMs: number } | undefined;
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

/** Failures of a single event before its successor is tried; then after twice as many, and so on. */
const FAILURES_BEFORE_PROBE = 5;
const isProbeDue = (failures: number): boolean =>
  failures % FAILURES_BEFORE_PROBE === 0 && Number.isInteger(Math.log2(failures / FAILURES_BEFORE_PROBE));
/** Failures of a batch before it is halved, in case one event of it is the cause. */
const FAILURES_BEFORE_HALVING = 3;

export function createDelivery(options: DeliveryOptions): Delivery {
  const { sink, records, journalId, setAside, clock, log } = options;
  const { maxMetrics = 1000, maxDelayMs = 1000 } = sink.batching ?? {};

  let position: Position = { sequence: options.position.sequence, count: options.position.count };
  /** Where the sink itself stands, as far as is known: behind `position` after a skip or with a poison event at its end. */
  let stored = position;
  let recovered = Math.max(0, records.head().count - position.count);
  let delivered = 0;
  let setAsideCount = 0;
  let skipped = 0;
  let redriven = 0;

  /** The most metrics of the next batch: `maxMetrics`, or less while a culprit is looked for. */
  let cap = maxMetrics;
  let failures = 0;
  let lastFailure: { message: string; at: number } | undefined;
  /** Wall-clock receive time of the next queued metric where memory does not know it. */
  let behindSince: number | undefined;
  let flushThrough = 0;
  let redrives: { resolve: (result: RedriveResult) => void; reject: (error: unknown) => void }[] = [];
  const flushes = new Set<{ through: number; resolve: () => void }>();

  /** What the sink told of itself between two writes. */
  let rewound: Rewind | undefined;
  let running = false;
  let stopping = false;
  let ended: Promise<void> = Promise.resolve();
  let wake: (() => void) | undefined;
  /** The delivery sleeps until a batch is due, or, with nothing queued, until there is a first metric. */
  let waitsForBatch = false;
  let waitsForFirst = false;

  const queued = (): number => records.head().count - position.count;

  /** Goes on to `to`. @returns the metrics between, none where a skip has gone further meanwhile */
  const advance = (to: Position): number => {
    const metrics = to.count - position.count;
    if (metrics < 0 || (metrics === 0 && to.sequence <= position.sequence)) return 0;
    moveTo(to);
    return metrics;
  };

  const moveTo = (to: Position): void => {
    position = { sequence: to.sequence, count: to.count };
    for (const flush of flushes) {
      if (flush.through > position.count) continue;
      flushes.delete(flush);
      flush.resolve();
    }
  };

  /** Milliseconds until a batch is due; 0 when it is, Infinity while nothing waits. */
  const dueIn = (): number => {
    if (redrives.length > 0 || rewound !== undefined) return 0;
    const waiting = queued();
    if (waiting <= 0) return Number.POSITIVE_INFINITY;
    if (waiting >= maxMetrics || cap < maxMetrics || flushThrough > position.count) return 0;
    const since = records.since(position.sequence);
    return since === undefined ? 0 : Math.max(0, since + maxDelayMs - clock.monotonic());
  };

  const sleep = (ms: number): Promise<void> =>
    new Promise((resolve) => {
      const timer = Number.isFinite(ms) ? clock.after(ms, () => wake?.()) : undefined;
      wake = () => {
        wake = undefined;
        timer?.cancel();
        resolve();
      };
    });

  const untilDue = async (): Promise<void> => {
    for (let ms = dueIn(); ms > 0 && !stopping; ms = dueIn()) {
      waitsForBatch = true;
      waitsForFirst = ms === Number.POSITIVE_INFINITY;
      await sleep(ms);
      waitsForBatch = false;
      waitsForFirst = false;
    }
  };

  const stopListening = records.onAppend(() => {
    if (waitsForBatch && (waitsForFirst || queued() >= maxMetrics)) wake?.();
  });

  const noteFailure = (error: unknown): void => {
    if (lastFailure === undefined)
      log.warn(
        { sink: sink.name, err: error, queued: queued() },
        'the sink failed; its metrics wait and are tried again',
      );
    lastFailure = { message: messageOf(error), at: lastFailure?.at ?? clock.monotonic() };
  };

  const writes = boundedWrite({
    clock,
    timeoutMs: options.writeTimeoutMs ?? 60_000,
    onTimeout: noteFailure,
    onEnd: (durationMs, failed) => options.onWrite?.(durationMs, failed),
  });
  const write = (batch: DeliveredBatch): Promise<void> => writes.run(sink, batch);

  const putAside = async (batch: DeliveredBatch, error: unknown): Promise<SetAsideEvent> => {
    const entry = { ...keptOf(batch), sink: sink.name, reason: messageOf(error), at: clock.now() };
    await setAside.put(entry);
    return entry;
  };

  /** The batch is dealt with: the trouble is over, and batches grow again. */
  const recover = (batch: DeliveredBatch): number => {
    failures = 0;
    lastFailure = undefined;
    cap = Math.min(maxMetrics, cap * 2);
    return advance(batch.checkpoint);
  };

  const succeeded = (batch: DeliveredBatch): void => {
    if (lastFailure !== undefined)
      log.info({ sink: sink.name, failures, queued: queued() }, 'the sink takes metrics again');
    stored = batch.checkpoint;
    delivered += recover(batch);
  };

  const tellSetAside = ({ id, reason }: SetAsideEvent): void =>
    log.error({ sink: sink.name, event: id, reason }, 'the sink cannot take this event; it was set aside');

  const loseOne = (batch: DeliveredBatch, entry: SetAsideEvent): void => {
    tellSetAside(entry);
    setAsideCount += recover(batch);
  };

  /**
   * A single event fails again and again without being called unacceptable. If the sink takes its successor, the event
   * is at fault. It is set aside first, so that a crash in between loses nothing.
   * @returns false where the successor fails as well: an outage
   */
  const probeSuccessor = async (batch: DeliveredBatch, error: unknown): Promise<boolean> => {
    const after = batch.checkpoint;
    const next = cutBatch(await records.read(after, 1), after, journalId, 1);
    if (next === undefined || next.lost > 0) return false;
    const entry = await putAside(batch, error);
    try {
      await write(next.batch);
    } catch (probeError) {
      if (!(probeError instanceof Unacceptable)) {
        await setAside.remove(entry.id);
        return false;
      }
      const nextEntry = await putAside(next.batch, probeError);
      loseOne(batch, entry);
      loseOne(next.batch, nextEntry);
      return true;
    }
    stored = next.batch.checkpoint;
    // The outage may have ended between the two: the event gets a last chance, or it would be set aside for nothing.
    const late = makeBatch(batch.records, batch.metrics, next.batch.checkpoint, true);
    try {
      if (!takesLate(sink)) throw error;
      await write(late);
      await setAside.remove(entry.id);
    } catch {
      tellSetAside(entry);
      setAsideCount += advance(batch.checkpoint);
    }
    delivered += recover(next.batch);
    return true;
  };

  /**
   * A sink that keeps its own checkpoint is asked where it is after a failure: the write may have been stored though its
   * answer was lost, or the sink may have gone back to a state before this batch.
   * @returns true where the sink stands elsewhere than the delivery thought
   */
  const resync = async (error: unknown): Promise<boolean> => {
    const rewind = error instanceof Rewind;
    const own = rewind ? error.checkpoint : await sink.checkpoint?.().catch(() => undefined);
    const at = (own === undefined ? undefined : options.locate(own)) ?? (rewind ? records.tail() : undefined);
    if (at === undefined || at.count === position.count || (!rewind && at.count === stored.count)) return false;
    log.warn(
      { sink: sink.name, from: position.count, to: at.count },
      'the sink stands elsewhere than expected; the delivery goes on from there',
    );
    failures = 0;
    lastFailure = undefined;
    stored = at;
    if (at.count > position.count) delivered += advance(at);
    else {
      recovered += position.count - at.count;
      moveTo(at);
    }
    return true;
  };

  const failed = async (batch: DeliveredBatch, error: unknown, began: Position): Promise<void> => {
    // Skipped meanwhile: what failed is nobody's concern any longer.
    if (position !== began) return;
    if (error instanceof Unacceptable) {
      if (batch.metrics > 1) cap = Math.max(1, Math.ceil(batch.metrics / 2));
      else loseOne(batch, await putAside(batch, error));
      return;
    }
    failures += 1;
    noteFailure(error);
    if (await resync(error)) return;
    if (failures >= FAILURES_BEFORE_HALVING && batch.metrics > 1) cap = Math.max(1, Math.ceil(batch.metrics / 2));
    if (batch.metrics === 1 && isProbeDue(failures) && (await probeSuccessor(batch, error))) return;
    if (!stopping && position === began) await sleep(backoffDelay(failures, options.backoff));
  };

  const lose = (metrics: number): void => {
    skipped += metrics;
    log.warn(
      { sink: sink.name, metrics },
      'the journal no longer holds metrics that this sink had not taken; they were skipped',
    );
  };

  const step = async (): Promise<void> => {
    if (rewound !== undefined) {
      const told = rewound;
      rewound = undefined;
      await resync(told);
      return;
    }
    if (redrives.length > 0) await redriveNow();
    const head = records.head();
    const from = position;
    if (head.count === from.count) {
      advance(head);
      return;
    }
    const read = await records.read(from, cap);
    if (position !== from) return;
    const cut = cutBatch(read, from, journalId, cap);
    if (cut === undefined) {
      // Records of no metrics are stepped over. Where nothing can be read, all up to the head is gone.
      const lost = advance(read.at(-1) ?? head);
      if (lost > 0) lose(lost);
      return;
    }
    if (cut.lost > 0) {
      lose(cut.lost);
      moveTo({ sequence: from.sequence, count: from.count + cut.lost });
    }
    const began = position;
    const oldest = cut.batch.records[0]!;
    behindSince = records.since(oldest.sequence - 1) === undefined ? receivedAt(oldest.envelope) : undefined;
    try {
      await write(cut.batch);
    } catch (error) {
      return failed(cut.batch, error, began);
    }
    succeeded(cut.batch);
  };

  const redriveNow = async (): Promise<void> => {
    const waiting = redrives;
    redrives = [];
    try {
      if (!takesLate(sink))
        throw new Error(`sink "${sink.name}" keeps its own checkpoint and does not say takesLate: it would drop them`);
      const result = await redriveAll(setAside, { journalId, ...position }, async (batch) => {
        await write(batch);
        redriven += 1;
      });
      for (const { resolve } of waiting) resolve(result);
    } catch (error) {
      for (const { reject } of waiting) reject(error);
    }
  };

  const run = async (): Promise<void> => {
    while (!stopping) {
      await untilDue();
      if (stopping) break;
      try {
        await step();
      } catch (error) {
        // Reading the journal or writing the set-aside folder failed: an outage of the disk, not of the sink.
        failures += 1;
        if (lastFailure === undefined)
          log.error({ sink: sink.name, err: error }, 'the delivery failed outside the sink; it tries again');
        lastFailure = { message: messageOf(error), at: lastFailure?.at ?? clock.monotonic() };
        if (!stopping) await sleep(backoffDelay(failures, options.backoff));
      }
    }
  };

  return {
    sink,
    setAside,
    position: () => ({ journalId, ...position }),
    counts: () => ({ delivered, setAside: setAsideCount, skipped, recovered, redriven }),
    queued,
    queueAgeMs: () => {
      if (queued() <= 0) return 0;
      const since = records.since(position.sequence);
      if (since !== undefined) return Math.max(0, clock.monotonic() - since);
      return behindSince === undefined ? 0 : Math.max(0, clock.now() - behindSince);
    },
    trouble: () =>
      lastFailure === undefined
        ? undefined
        : { message: lastFailure.message, failures, sinceMs: clock.monotonic() - lastFailure.at },
    flush: (signal) => {
      const through = records.head().count;
      if (through <= position.count) return Promise.resolve();
      flushThrough = Math.max(flushThrough, through);
      return new Promise((resolve, reject) => {
        const flush = { through, resolve };
        const abort = (): void => {
          flushes.delete(flush);
          reject(signal?.reason as Error);
        };
        if (signal?.aborted === true) return abort();
        signal?.addEventListener('abort', abort, { once: true });
        flush.resolve = () => {
          signal?.removeEventListener('abort', abort);
          resolve();
        };
        flushes.add(flush);
        wake?.();
      });
    },
    skip: (to) => {
      const metrics = advance(to);
      skipped += metrics;
      if (metrics === 0) return;
      // A write under way is about what was passed over: without it the sink comes to newer metrics sooner.
      writes.abort(new Error('the journal could not hold these metrics any longer; they were skipped'));
      if (!writes.underWay()) wake?.();
    },
    redrive: () =>
      new Promise((resolve, reject) => {
        if (stopping) return reject(new Error('the gateway stops'));
        redrives.push({ resolve, reject });
        wake?.();
      }),
    rewind: (rewind) => {
      rewound = rewind;
      wake?.();
    },
    start: () => {
      if (running || stopping) return;
      running = true;
      ended = run();
    },
    stop: async (signal) => {
      stopping = true;
      stopListening();
      const abort = (): void => writes.abort(new Error('the gateway stops'));
      if (signal?.aborted === true) abort();
      signal?.addEventListener('abort', abort, { once: true });
      wake?.();
      await ended;
      signal?.removeEventListener('abort', abort);
      for (const { reject } of redrives.splice(0)) reject(new Error('the gateway stops'));
    },
  };
}

const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));

/** The receive time inside an envelope, without reading the rest of it into shape. */
function receivedAt(envelope: Uint8Array): number | undefined {
  const encoded = JSON.parse(new TextDecoder().decode(envelope)) as { t?: number };
  return encoded.t;
}
