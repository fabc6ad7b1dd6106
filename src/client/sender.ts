/** Brings recorded metrics to the gateway in the background: batches by size and time, one request at a time, retries. */
import { createBuffer, divide } from './buffer.ts';
import { cancelExitFlush, requestExitFlush } from './exit-flush.ts';
import type { ResolvedOptions } from './options.ts';
import { postBatch, sealBatch } from './post.ts';
import type { Answer, Batch } from './post.ts';
import { backoffMs, DENIED_DELAY_MS, MAX_BATCH_AGE_MS } from './retry.ts';
import { backgroundTimer, monotonicNow } from './runtime.ts';
import type { ClientStats } from './stats.ts';
import { utf8 } from './user-hash.ts';

export interface Sender {
  /** Takes one metric as JSON text. */
  readonly enqueue: (metric: string) => void;
  /** Sends what was recorded before the call; resolves when that is settled or at the deadline. Never rejects. */
  readonly flush: (timeoutMs: number) => Promise<void>;
  /** As `flush`; then drops the rest, counted, and takes nothing more. */
  readonly shutdown: (timeoutMs: number) => Promise<void>;
}

export function createSender(options: ResolvedOptions, stats: ClientStats): Sender {
  /** Bytes of metrics in a request's body at most: well below the gateway's 10 MiB, and quick to compress. */
  const MAX_BATCH_BYTES = 1_000_000;
  /** How long a process that has nothing else to do is kept for what is left. */
  const EXIT_FLUSH_MS = 2000;
  const { flushIntervalMs, maxBatchSize, warn } = options;
  const head = utf8.encode(`${JSON.stringify(options.identity).slice(0, -1)},"metrics":[`);
  let buffer = createBuffer(options.maxQueueSize);
  /** Sealed and not settled, oldest first: one batch, or the parts of one that was too large. */
  const batches: Batch[] = [];
  let timer: ReturnType<typeof setTimeout> | undefined;
  let timerDue = 0;
  let running: Promise<void> | undefined;
  let abort: (() => void) | undefined;
  let failures = 0;
  /** No request before this monotonic time: a backoff, which a flush may cut short, but not below the gateway's own word. */
  let notBefore = 0;
  let askedUntil = 0;
  let flushTarget = 0;
  let closing: Promise<void> | undefined;

  const outstanding = (): number => stats.queued + stats.inFlight;
  const settled = (): number => stats.recorded - outstanding();

  const wake = (delayMs: number): void => {
    const due = monotonicNow() + delayMs;
    if (timer) {
      if (timerDue <= due) return;
      clearTimeout(timer);
    }
    timerDue = due;
    timer = backgroundTimer(() => {
      timer = undefined;
      run().catch(() => {});
    }, delayMs);
  };

  /** @returns how many metrics that were */
  const settle = ({ lengths }: Batch): number => {
    batches.shift();
    stats.inFlight -= lengths.length;
    return lengths.length;
  };

  const split = async (batch: Batch): Promise<void> => {
    const halves = divide(batch, batch.lengths.length >> 1, Infinity);
    const parts = await Promise.all(halves.map((half) => sealBatch(head, half)));
    batches.splice(0, 1, ...parts);
  };

  const drop = (batch: Batch, reason: string): void => {
    stats.dropped.refused += settle(batch);
    warn(reason.slice(0, 11), `metrics were dropped: ${reason}`);
  };

  const apply = async (batch: Batch, { status, rejected, detail, waitMs }: Answer): Promise<void> => {
    const reason = `answer ${status} ${detail}`;
    if (status === 200) {
      failures = 0;
      stats.accepted += settle(batch) - rejected;
      stats.rejected += rejected;
      if (rejected > 0) warn('rejected', `the gateway rejected ${rejected} metrics: ${detail}`);
    } else if (status === 413 && batch.lengths.length > 1) {
      await split(batch);
    } else if ([400, 413, 415, 422].includes(status)) {
      // This very request is wrong. Any other answer may pass with time: a key, a proxy, a restart, a deploy.
      drop(batch, reason);
    } else {
      stats.retries += 1;
      const now = monotonicNow();
      const denied = status === 401 || status === 403;
      askedUntil = now + (waitMs ?? 0);
      notBefore = Math.max(askedUntil, now + (denied ? DENIED_DELAY_MS : backoffMs(failures)));
      failures += 1;
      if (denied) warn('denied', `metrics are kept, check the API key: ${reason}`);
      else if (failures === 3)
        warn('unreachable', `no success at ${options.url} (${status || 'no answer'}), metrics are kept and sent later`);
    }
  };

  /** One try at the oldest batch. */
  const attempt = async (batch: Batch): Promise<void> => {
    if (monotonicNow() - batch.sealedAt > MAX_BATCH_AGE_MS) {
      drop(batch, 'too old to be sent again');
      return;
    }
    const controller = new AbortController();
    abort = () => controller.abort();
    const timeout = backgroundTimer(abort, options.requestTimeoutMs);
    stats.requests += 1;
    const answer = await postBatch(options.fetch, options.url, options.headers, batch, controller.signal);
    clearTimeout(timeout);
    // After shutdown's deadline the batch is no longer ours to settle.
    if (batches[0] === batch) await apply(batch, answer);
  };

  /** Sends until less than a full batch is left that nobody waits for, or until a try failed. */
  const send = async (): Promise<void> => {
    let tried = false;
    while (monotonicNow() >= notBefore) {
      const batch = batches[0];
      if (batch) {
        await attempt(batch);
        tried = true;
        continue;
      }
      if (tried && settled() >= flushTarget && stats.queued < maxBatchSize) return;
      const records = buffer.take(maxBatchSize, MAX_BATCH_BYTES);
      const metrics = records.lengths.length;
      if (metrics === 0) return;
      stats.queued -= metrics;
      stats.inFlight += metrics;
      batches.push(await sealBatch(head, records));
    }
  };

  const run = (): Promise<void> => {
    running ??= send().finally(() => {
      running = undefined;
      if (outstanding() === 0) cancelExitFlush(exitFlush);
      else wake(Math.max(notBefore - monotonicNow(), batches[0] ? 0 : flushIntervalMs));
    });
    return running;
  };

  /** Runs until what was recorded so far is settled, the deadline, or a wait that reaches beyond it. */
  const drain = async (timeoutMs: number, abortAtDeadline: boolean): Promise<void> => {
    const target = stats.recorded;
    const deadline = monotonicNow() + timeoutMs;
    flushTarget = Math.max(flushTarget, target);
    notBefore = askedUntil;
    let end: ReturnType<typeof setTimeout> | undefined;
    const expired = new Promise<void>((resolve) => (end = setTimeout(resolve, timeoutMs)));
    while (settled() < target && monotonicNow() < deadline) {
      await Promise.race([run(), expired]);
      if (settled() >= target || notBefore >= deadline) break;
      await new Promise((resolve) => setTimeout(resolve, Math.max(notBefore - monotonicNow(), 1)));
    }
    clearTimeout(end);
    if (abortAtDeadline && settled() < target) {
      // Also where the aborted request counts as answered, since its head had come: no other follows. A process
      // that lives on after all tries again later.
      notBefore = deadline + EXIT_FLUSH_MS;
      abort?.();
    }
  };
  const exitFlush = (): Promise<void> => drain(EXIT_FLUSH_MS, true);

  const close = async (timeoutMs: number): Promise<void> => {
    await drain(timeoutMs, true);
    stats.dropped.shutdown += outstanding();
    stats.queued = stats.inFlight = 0;
    buffer = createBuffer(0);
    batches.length = 0;
    // What is still being sealed is not sent any more.
    notBefore = Infinity;
    clearTimeout(timer);
    cancelExitFlush(exitFlush);
  };

  return {
    enqueue: (metric) => {
      stats.recorded += 1;
      if (closing) {
        stats.dropped.shutdown += 1;
        return;
      }
      const waiting = stats.queued;
      const dropped = buffer.push(metric);
      stats.queued += 1 - dropped;
      if (dropped > 0) {
        stats.dropped.overflow += dropped;
        warn('overflow', 'buffer full, the oldest metrics are dropped');
      }
      if (waiting === 0) requestExitFlush(exitFlush);
      // A run that is under way, or a batch that waits for its next try, looks at the buffer afterwards.
      if (running || batches[0]) return;
      if (waiting === 0) wake(flushIntervalMs);
      else if (waiting + 1 === maxBatchSize) wake(0);
    },
    flush: (timeoutMs) => drain(timeoutMs, false),
    shutdown: (timeoutMs) => (closing ??= close(timeoutMs)),
  };
}
