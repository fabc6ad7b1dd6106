/** When a delivery works and when it sleeps: until a batch is full, old enough or asked for, or until somebody wakes it. */
import type { Clock } from '../ports.ts';
import type { RecentRecords } from '../recent-records.ts';
import type { Batching } from '../sink.ts';
import type { Progress } from './progress.ts';

export interface PaceOptions {
  readonly batching: Required<Batching>;
  readonly records: RecentRecords;
  readonly progress: Progress;
  readonly clock: Clock;
  /** There is something to do even with nothing queued. */
  readonly asked: () => boolean;
  /** What is queued is due, however little it is. */
  readonly hasty: () => boolean;
}

export interface Pace {
  /** Resolves once there is something to do, or at `stop`. */
  readonly untilDue: () => Promise<void>;
  /** Resolves after `ms`, when woken before, and at once when stopped. */
  readonly sleep: (ms: number) => Promise<void>;
  readonly wake: () => void;
  /** What lies up to `count` is due at once. */
  readonly hurry: (count: number) => void;
  readonly stop: () => void;
  readonly stopped: () => boolean;
}

export function createPace({ batching, records, progress, clock, asked, hasty }: PaceOptions): Pace {
  const { maxMetrics, maxDelayMs } = batching;
  let hurryThrough = 0;
  let stopped = false;
  let wake: (() => void) | undefined;
  /** It sleeps until a batch is due, or, with nothing queued, until there is a first metric. */
  let waitsForBatch = false;
  let waitsForFirst = false;

  /** Milliseconds until a batch is due; 0 when it is, Infinity while nothing waits. */
  const dueIn = (): number => {
    if (asked()) return 0;
    const queued = progress.queued();
    if (queued <= 0) return Number.POSITIVE_INFINITY;
    const { sequence, count } = progress.at();
    if (queued >= maxMetrics || hurryThrough > count || hasty()) return 0;
    const since = records.since(sequence);
    return since === undefined ? 0 : Math.max(0, since + maxDelayMs - clock.monotonic());
  };

  const sleep = (ms: number): Promise<void> =>
    new Promise((resolve) => {
      if (stopped) return resolve();
      const timer = Number.isFinite(ms) ? clock.after(ms, () => wake?.()) : undefined;
      wake = () => {
        wake = undefined;
        timer?.cancel();
        resolve();
      };
    });

  const stopListening = records.onAppend(() => {
    if (waitsForBatch && (waitsForFirst || progress.queued() >= maxMetrics)) wake?.();
  });

  return {
    untilDue: async () => {
      for (let ms = dueIn(); ms > 0 && !stopped; ms = dueIn()) {
        waitsForBatch = true;
        waitsForFirst = ms === Number.POSITIVE_INFINITY;
        await sleep(ms);
        waitsForBatch = false;
        waitsForFirst = false;
      }
    },
    sleep,
    wake: () => wake?.(),
    hurry: (count) => {
      hurryThrough = Math.max(hurryThrough, count);
      wake?.();
    },
    stop: () => {
      stopped = true;
      stopListening();
      wake?.();
    },
    stopped: () => stopped,
  };
}
