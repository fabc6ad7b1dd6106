/**
 * Brings the journal's records to one sink: in order, at the sink's own pace, with retries that never end. What the
 * sink can never take is narrowed down to single events by halving the batch and set aside; it blocks nothing behind it.
 */
import { backoffDelay, type BackoffOptions } from './backoff.ts';
import { cutBatch, makeBatch } from './batch.ts';
import type { Checkpoint, Position } from './journal.ts';
import type { Clock, Log } from './ports.ts';
import type { RecentRecords } from './recent-records.ts';
import { encodeEvent } from './record.ts';
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
  /** Between the position at start and the journal's head at start. */
  readonly recovered: number;
}

export interface Delivery {
  readonly sink: Sink;
  /** Everything up to here is delivered, set aside or skipped. */
  readonly position: () => Checkpoint;
  readonly counts: () => DeliveryCounts;
  readonly queued: () => number;
  /** Milliseconds that the oldest queued metric has waited; 0 with an empty queue. */
  readonly queueAgeMs: () => number;
  /** The last failure, until a write succeeds. */
  readonly trouble: () => { readonly message: string; readonly failures: number; readonly sinceMs: number } | undefined;
  /** Resolves once everything that is in the journal now has been dealt with. */
  readonly flush: () => Promise<void>;
  /** Passes over what lies up to and with `position`: the journal cannot hold it any longer. */
  readonly skip: (position: Position) => void;
  /** Tries the events that were set aside once more; tells how many were taken and how many remain. */
  readonly redrive: () => Promise<{ readonly delivered: number; readonly remaining: number }>;
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
  const writeTimeoutMs = options.writeTimeoutMs ?? 60_000;

  let position: Position = { sequence: options.position.sequence, count: options.position.count };
  let recovered = Math.max(0, records.head().count - position.count);
  let delivered = 0;
  let setAsideCount = 0;
  let skipped = 0;

  /** The most metrics of the next batch: `maxMetrics`, or less while a culprit is looked for. */
  let cap = maxMetrics;
  let failures = 0;
  let lastFailure: { message: string; at: number } | undefined;
  /** Wall-clock receive time of the next queued metric where memory does not know it. */
  let behindSince: number | undefined;
  let skipThrough: Position | undefined;
  let flushThrough = 0;
  let redrives: {
    resolve: (result: { delivered: number; remaining: number }) => void;
    reject: (error: unknown) => void;
  }[] = [];

  /** What the sink told of itself between two writes. */
  let rewound: Rewind | undefined;
  let running = false;
  let stopping = false;
  let ended: Promise<void> = Promise.resolve();
  let wake: (() => void) | undefined;
  /** The delivery sleeps until a batch is due, or, with nothing queued, until there is a first metric. */
  let waitsForBatch = false;
  let waitsForFirst = false;
  let writing: AbortController | undefined;
  const flushes: { through: number; resolve: () => void }[] = [];

  const queued = (): number => records.head().count - position.count;

  const advance = (to: Position): void => {
    position = { sequence: to.sequence, count: to.count };
    for (let index = flushes.length - 1; index >= 0; index -= 1) {
      if (flushes[index]!.through <= position.count) flushes.splice(index, 1)[0]!.resolve();
    }
  };

  const applySkip = (): void => {
    if (skipThrough === undefined) return;
    if (skipThrough.count > position.count) {
      skipped += skipThrough.count - position.count;
      advance(skipThrough);
    }
    skipThrough = undefined;
  };

  /** Milliseconds until a batch is due; 0 when it is, Infinity while nothing waits. */
  const dueIn = (): number => {
    if (redrives.length > 0 || skipThrough !== undefined || rewound !== undefined) return 0;
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

  /** One write with a time limit; never a second one before the first has ended. */
  const write = async (batch: DeliveredBatch): Promise<void> => {
    const began = clock.monotonic();
    writing = new AbortController();
    const { signal } = writing;
    const abort = writing;
    const timer = clock.after(writeTimeoutMs, () => {
      lastFailure ??= { message: `no answer for ${writeTimeoutMs} ms`, at: clock.monotonic() };
      abort.abort(new Error(`the write took longer than ${writeTimeoutMs} ms`));
    });
    let failed = true;
    try {
      await sink.write(batch, signal);
      failed = false;
    } finally {
      timer.cancel();
      writing = undefined;
      options.onWrite?.(clock.monotonic() - began, failed);
    }
  };

  const putAside = async (batch: DeliveredBatch, error: unknown): Promise<SetAsideEvent> => {
    const [event] = batch.events;
    if (event === undefined) throw new Error('a batch of one metric holds no event', { cause: error });
    const entry = { id: event.id, sink: sink.name, reason: messageOf(error), at: clock.now(), event };
    await setAside.put(entry);
    return entry;
  };

  const succeeded = (batch: DeliveredBatch): void => {
    delivered += batch.metrics;
    if (lastFailure !== undefined)
      log.info({ sink: sink.name, failures, queued: queued() }, 'the sink takes metrics again');
    failures = 0;
    lastFailure = undefined;
    cap = Math.min(maxMetrics, cap * 2);
    advance(batch.checkpoint);
  };

  const loseOne = (batch: DeliveredBatch, entry: SetAsideEvent): void => {
    setAsideCount += batch.metrics;
    log.error(
      { sink: sink.name, event: entry.id, reason: entry.reason },
      'the sink cannot take this event; it was set aside',
    );
    failures = 0;
    lastFailure = undefined;
    cap = Math.min(maxMetrics, cap * 2);
    advance(batch.checkpoint);
  };

  /**
   * A single event fails again and again without being called unacceptable. If the sink takes its successor, the event
   * is at fault. It is set aside first, so that a crash in between loses nothing.
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
      loseOne(batch, entry);
      loseOne(next.batch, await putAside(next.batch, probeError));
      return true;
    }
    delivered += next.batch.metrics;
    // The outage may have ended between the two: the event gets a last chance, or it would be set aside for nothing.
    const lateBatch = makeBatch(batch.records, batch.metrics, next.batch.checkpoint, true);
    try {
      await write(lateBatch);
      await setAside.remove(entry.id);
      delivered += batch.metrics;
      failures = 0;
      lastFailure = undefined;
      advance(next.batch.checkpoint);
    } catch {
      loseOne(lateBatch, entry);
    }
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
    if (at === undefined || at.count === position.count) return false;
    if (at.count > position.count) delivered += at.count - position.count;
    else recovered += position.count - at.count;
    log.warn(
      { sink: sink.name, from: position.count, to: at.count },
      'the sink stands elsewhere than expected; the delivery goes on from there',
    );
    failures = 0;
    lastFailure = undefined;
    advance(at);
    return true;
  };

  const failed = async (batch: DeliveredBatch, error: unknown): Promise<void> => {
    if (error instanceof Unacceptable) {
      if (batch.metrics > 1) cap = Math.max(1, Math.ceil(batch.metrics / 2));
      else loseOne(batch, await putAside(batch, error));
      return;
    }
    failures += 1;
    if (lastFailure === undefined)
      log.warn(
        { sink: sink.name, err: error, queued: queued() },
        'the sink failed; its metrics wait and are tried again',
      );
    lastFailure = { message: messageOf(error), at: lastFailure?.at ?? clock.monotonic() };
    if (await resync(error)) return;
    if (failures >= FAILURES_BEFORE_HALVING && batch.metrics > 1) cap = Math.max(1, Math.ceil(batch.metrics / 2));
    if (batch.metrics === 1 && isProbeDue(failures) && (await probeSuccessor(batch, error))) return;
    if (!stopping) await sleep(backoffDelay(failures, options.backoff));
  };

  const step = async (): Promise<void> => {
    applySkip();
    if (rewound !== undefined) {
      const told = rewound;
      rewound = undefined;
      await resync(told);
      return;
    }
    if (redrives.length > 0) await redriveNow();
    const head = records.head();
    if (head.count === position.count) {
      if (head.sequence > position.sequence) advance(head);
      return;
    }
    const read = await records.read(position, cap);
    const cut = cutBatch(read, position, journalId, cap);
    if (cut === undefined) {
      // Records of no metrics, or ones that are not in memory yet: step over the former, wait a moment for the latter.
      const last = read.at(-1);
      if (last !== undefined && last.count === position.count) advance(last);
      else await sleep(5);
      return;
    }
    if (cut.lost > 0) {
      skipped += cut.lost;
      log.warn(
        { sink: sink.name, metrics: cut.lost },
        'the journal no longer holds metrics that this sink had not taken; they were skipped',
      );
      advance({ sequence: position.sequence, count: position.count + cut.lost });
    }
    const oldest = cut.batch.records[0]!;
    behindSince = records.since(oldest.sequence - 1) === undefined ? receivedAt(oldest.envelope) : undefined;
    try {
      await write(cut.batch);
    } catch (error) {
      return failed(cut.batch, error);
    }
    succeeded(cut.batch);
  };

  const redriveNow = async (): Promise<void> => {
    const waiting = redrives;
    redrives = [];
    try {
      let taken = 0;
      for (const entry of await setAside.list()) {
        const record = encodeEvent(entry.event);
        const batch = makeBatch(
          [{ ...record, sequence: position.sequence, count: position.count, from: 0, to: 1 }],
          1,
          { journalId, ...position },
          true,
        );
        try {
          await write(batch);
        } catch (error) {
          if (error instanceof Unacceptable) continue;
          throw error;
        }
        await setAside.remove(entry.id);
        taken += 1;
      }
      for (const { resolve } of waiting) resolve({ delivered: taken, remaining: setAside.size() });
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
        lastFailure = { message: messageOf(error), at: lastFailure?.at ?? clock.monotonic() };
        log.error({ sink: sink.name, err: error }, 'the delivery failed outside the sink; it tries again');
        if (!stopping) await sleep(backoffDelay(failures, options.backoff));
      }
    }
  };

  return {
    sink,
    position: () => ({ journalId, ...position }),
    counts: () => ({ delivered, setAside: setAsideCount, skipped, recovered }),
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
    flush: () => {
      const through = records.head().count;
      if (through <= position.count) return Promise.resolve();
      flushThrough = Math.max(flushThrough, through);
      return new Promise((resolve) => {
        flushes.push({ through, resolve });
        wake?.();
      });
    },
    skip: (to) => {
      if (to.count <= (skipThrough ?? position).count) return;
      skipThrough = to;
      if (writing === undefined) wake?.();
    },
    redrive: () =>
      new Promise((resolve, reject) => {
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
      const abort = (): void => writing?.abort(new Error('the gateway stops'));
      if (signal?.aborted === true) abort();
      signal?.addEventListener('abort', abort, { once: true });
      wake?.();
      await ended;
      signal?.removeEventListener('abort', abort);
    },
  };
}

const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));

/** The receive time inside an envelope, without reading the rest of it into shape. */
function receivedAt(envelope: Uint8Array): number | undefined {
  const encoded = JSON.parse(new TextDecoder().decode(envelope)) as { t?: number };
  return encoded.t;
}
