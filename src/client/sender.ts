/** Brings recorded metrics to the gateway in the background: batches by size and time, one request at a time, retries. */
import { createBuffer, divide } from './buffer.ts';
import { cancelExitFlush, requestExitFlush } from './exit-flush.ts';
import type { ResolvedOptions } from './options.ts';
import { NO_JSON, packBody, postBatch, sealBatch } from './post.ts';
import type { Answer, Batch } from './post.ts';
import { backoffMs } from './retry.ts';
import { attempt, backgroundTimer, monotonicNow } from './runtime.ts';
import type { ClientStats } from './stats.ts';
import { utf8 } from './user-hash.ts';

export interface Sender {
  /** Takes one metric as JSON text; undefined counts one that could not be made. */
  readonly enqueue: (metric: string | undefined) => void;
  /**
   * Sends what was recorded before the call; resolves when that is settled or at the deadline. Never rejects.
   * @param last whether there may be no later time: waits for no backoff, and ends the request at the deadline
   */
  readonly flush: (timeoutMs: number, last?: boolean) => Promise<void>;
  /** As `flush`; then drops the rest, counted, and takes nothing more. */
  readonly shutdown: (timeoutMs: number) => Promise<void>;
  readonly stats: () => ClientStats;
}

export function createSender(options: ResolvedOptions): Sender {
  /** Bytes of metrics in a request's body at most: well below the gateway's 10 MiB, and quick to compress. */
  const MAX_BATCH_BYTES = 1_000_000;
  /** How long a process that has nothing else to do is kept for what is left. */
  const EXIT_FLUSH_MS = 2000;
  /** After 401 and 403, which a person mends, not a quick retry. */
  const DENIED_DELAY_MS = 60_000;
  /** A flush, which may come often, waits so long after a try that failed, or for the backoff if that ends before. */
  const FLUSH_DELAY_MS = 1000;
  /** The gateway remembers an idempotency key for 24 hours; a batch that may have arrived is not sent after half of that. */
  const MAX_BATCH_AGE_MS = 43_200_000;
  /** How late a timer or a try may be before it counts as lost. */
  const LOST_AFTER_MS = 1000;
  const { flushIntervalMs, maxBatchSize, maxQueueSize, warn } = options;
  /** So many are sent without waiting for the interval. */
  const full = Math.min(maxBatchSize, maxQueueSize);
  const head = utf8.encode(`${JSON.stringify(options.identity).slice(0, -1)},"metrics":[`);
  let buffer = createBuffer(maxQueueSize);
  /** Sealed and not settled, oldest first: one batch, or the parts of one that was too large. */
  const batches: Batch[] = [];
  let timer: ReturnType<typeof setTimeout> | undefined;
  let timerDue = 0;
  let running = Promise.resolve();
  /** Grows with every run; one of an earlier turn is not heard any more. */
  let turn = 0;
  /** A run is under way until then; one still at the same try is lost: an edge worker's request ends with its timers and its POST. */
  let lostAt = 0;
  let abort = (): void => {};
  let failures = 0;
  /** No request before this monotonic time: a backoff, which a flush may cut short, but not below the gateway's own word. */
  let notBefore = 0;
  let askedUntil = 0;
  let failedAt = 0;
  let flushTarget = 0;
  let closing: Promise<void> | undefined;
  // The books, as `ClientStats` has them.
  let recorded = 0;
  let accepted = 0;
  let rejected = 0;
  let overflow = 0;
  let refused = 0;
  let invalid = 0;
  let unsent = 0;
  /** After `shutdown` began: they settle nothing that came before. */
  let late = 0;
  let queued = 0;
  let inFlight = 0;
  let requests = 0;
  let retries = 0;

  const outstanding = (): number => queued + inFlight;
  const settled = (): number => recorded - outstanding();

  const pauseMs = (least: number): number => Math.max(notBefore - monotonicNow(), least);

  const wake = (delayMs: number): void => {
    const now = monotonicNow();
    const due = now + delayMs;
    if (timer && timerDue <= due && now < timerDue + LOST_AFTER_MS) return;
    clearTimeout(timer);
    timerDue = due;
    // Edge workers have none until the first request.
    timer = attempt(() =>
      backgroundTimer(() => {
        timer = undefined;
        run().catch(() => {});
      }, delayMs),
    );
  };

  /** @returns how many metrics that were */
  const settle = ({ lengths }: Batch): number => {
    batches.shift();
    inFlight -= lengths.length;
    return lengths.length;
  };

  const split = (batch: Batch): void => {
    const halves = divide(batch, batch.lengths.length >> 1, Infinity);
    batches.splice(0, 1, ...halves.map(sealBatch));
  };

  const drop = (batch: Batch, kind: string, reason: string): void => {
    refused += settle(batch);
    warn(kind, `metrics were dropped: ${reason}`);
  };

  const apply = (batch: Batch, [status, bad, detail, waitMs]: Answer = [0, 0, '', 0]): void => {
    // After shutdown's deadline the batch is no longer ours.
    if (batches[0] !== batch) return;
    const reason = `${options.url} answers ${status || 'nothing'} ${detail}`;
    if (status === 200 && detail !== NO_JSON) {
      failures = 0;
      accepted += settle(batch) - bad;
      rejected += bad;
      if (bad > 0) warn('rejected', `${bad} metrics were rejected: ${detail}`);
    } else if (status === 413 && batch.lengths.length > 1) {
      split(batch);
    } else if ([400, 413, 415, 422].includes(status)) {
      // This very request is wrong. Any other answer may pass with time: a key, a proxy, a restart, a deploy.
      drop(batch, `${status}`, reason);
    } else {
      retries += 1;
      const now = (failedAt = monotonicNow());
      const denied = status === 401 || status === 403;
      askedUntil = now + waitMs;
      notBefore = Math.max(askedUntil, now + (denied ? DENIED_DELAY_MS : backoffMs(failures)));
      failures += 1;
      if (denied || failures === 3)
        warn(`${denied}`, `metrics are kept and sent later${denied ? ', check the API key' : ''}: ${reason}`);
    }
  };

  /** One try at the oldest batch. */
  const tryBatch = async (batch: Batch): Promise<void> => {
    if (monotonicNow() - batch.sealedAt > MAX_BATCH_AGE_MS) {
      drop(batch, 'old', 'too old');
      return;
    }
    const body = (batch.body ??= await packBody(head, batch.bytes));
    if (batches[0] !== batch) return;
    const controller = new AbortController();
    abort = () => controller.abort();
    const timeout = backgroundTimer(abort, options.requestTimeoutMs);
    requests += 1;
    const answer = postBatch(options, batch, body, controller.signal);
    apply(batch, await answer.finally(() => clearTimeout(timeout)));
  };

  /** Sends until less than a full batch is left that nobody waits for, or until a try failed. */
  const send = async (own: number): Promise<void> => {
    let tried = false;
    while (own === turn && monotonicNow() >= notBefore) {
      lostAt = monotonicNow() + options.requestTimeoutMs + LOST_AFTER_MS;
      const batch = batches[0];
      if (batch) {
        // Also where what a service has for `fetch` answers with anything.
        await tryBatch(batch).catch(() => apply(batch));
        tried = true;
        continue;
      }
      if (tried && settled() >= flushTarget && queued < full) return;
      const records = buffer.take(maxBatchSize, MAX_BATCH_BYTES);
      const metrics = records.lengths.length;
      if (metrics === 0) return;
      queued -= metrics;
      inFlight += metrics;
      batches.push(sealBatch(records));
    }
  };

  const underWay = (): boolean => monotonicNow() < lostAt;

  const run = (): Promise<void> => {
    if (!underWay()) {
      const own = (turn += 1);
      running = send(own).finally(() => {
        if (own !== turn) return;
        lostAt = 0;
        if (outstanding() === 0) cancelExitFlush(exitFlush);
        else wake(pauseMs(batches[0] ? 0 : flushIntervalMs));
      });
    }
    return running;
  };

  /** Runs until what was recorded so far is settled, the deadline, or a wait that reaches beyond it. */
  const drain = async (timeoutMs: number, last?: boolean): Promise<void> => {
    const target = (flushTarget = recorded);
    const deadline = monotonicNow() + timeoutMs;
    notBefore = last ? askedUntil : Math.max(askedUntil, Math.min(notBefore, failedAt + FLUSH_DELAY_MS));
    let end: ReturnType<typeof setTimeout> | undefined;
    const expired = new Promise<void>((resolve) => (end = setTimeout(resolve, timeoutMs)));
    while (settled() < target && Math.max(monotonicNow(), notBefore) < deadline) {
      await new Promise((resolve) => setTimeout(resolve, pauseMs(0)));
      await Promise.race([run(), expired]);
    }
    clearTimeout(end);
    if (last && settled() < target) {
      // No try and no timer follows, which could keep the process: one that lives on sends with what it records next.
      turn += 1;
      lostAt = 0;
      clearTimeout(timer);
      timer = undefined;
      attempt(abort);
      cancelExitFlush(exitFlush);
    }
  };
  const exitFlush = (): Promise<void> => drain(EXIT_FLUSH_MS, true);

  const close = async (timeoutMs: number): Promise<void> => {
    await drain(timeoutMs, true);
    unsent += outstanding();
    queued = inFlight = 0;
    buffer = createBuffer(0);
    batches.length = 0;
    clearTimeout(timer);
  };

  return {
    enqueue: (metric) => {
      if (closing) {
        late += 1;
        return;
      }
      recorded += 1;
      if (metric === undefined) {
        invalid += 1;
        return;
      }
      const waiting = queued;
      const dropped = buffer.push(metric);
      queued += 1 - dropped;
      if (dropped > 0) {
        overflow += dropped;
        warn('overflow', 'buffer full, oldest dropped');
      }
      requestExitFlush(exitFlush);
      // A run that is under way looks at the buffer afterwards.
      if (underWay()) return;
      if (queued >= full) wake(pauseMs(0));
      else if (waiting === 0 || !timer) wake(flushIntervalMs);
    },
    flush: drain,
    shutdown: (timeoutMs) => (closing ??= close(timeoutMs)),
    stats: () => ({
      recorded: recorded + late,
      accepted,
      rejected,
      dropped: { overflow, refused, invalid, shutdown: unsent + late },
      queued,
      inFlight,
      requests,
      retries,
    }),
  };
}
