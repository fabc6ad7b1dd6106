/** How far a delivery has come, and its books: each step forward says what became of the metrics on the way. */
import type { Position } from '../journal.ts';
import type { RecentRecords } from '../recent-records.ts';

/** Metrics that a delivery has dealt with since it began. */
export interface ProgressCounts {
  readonly delivered: number;
  readonly setAside: number;
  /** Passed over because the journal no longer had them or could not hold them. */
  readonly skipped: number;
  /** Between the position at start and the journal's head at start, and what came again after the sink went back. */
  readonly recovered: number;
}

export type Fate = Exclude<keyof ProgressCounts, 'recovered'>;

export interface Progress {
  /** Everything up to here is delivered, set aside or skipped. The same object until it moves. */
  readonly at: () => Position;
  readonly counts: () => ProgressCounts;
  readonly queued: () => number;
  /** @returns the metrics between, all of which had this fate; none where a skip has gone further meanwhile */
  readonly advance: (to: Position, fate: Fate) => number;
  /** What lies between comes again. */
  readonly goBack: (to: Position) => void;
  /** Resolves once `count` has been reached; rejects when `signal` aborts before. */
  readonly reach: (count: number, signal?: AbortSignal) => Promise<void>;
}

export function createProgress(start: Position, head: RecentRecords['head']): Progress {
  let position: Position = { sequence: start.sequence, count: start.count };
  const counts = { delivered: 0, setAside: 0, skipped: 0, recovered: Math.max(0, head().count - start.count) };
  const waiters = new Set<{ readonly count: number; readonly resolve: () => void }>();

  const moveTo = ({ sequence, count }: Position): void => {
    position = { sequence, count };
    for (const waiter of waiters) {
      if (waiter.count > count) continue;
      waiters.delete(waiter);
      waiter.resolve();
    }
  };

  return {
    at: () => position,
    counts: () => ({ ...counts }),
    queued: () => head().count - position.count,
    advance: (to, fate) => {
      const metrics = to.count - position.count;
      if (metrics < 0 || (metrics === 0 && to.sequence <= position.sequence)) return 0;
      counts[fate] += metrics;
      moveTo(to);
      return metrics;
    },
    goBack: (to) => {
      counts.recovered += position.count - to.count;
      moveTo(to);
    },
    reach: (count, signal) =>
      new Promise((resolve, reject) => {
        if (count <= position.count) return resolve();
        const abort = (): void => {
          waiters.delete(waiter);
          reject(signal?.reason as Error);
        };
        const waiter = {
          count,
          resolve: () => {
            signal?.removeEventListener('abort', abort);
            resolve();
          },
        };
        if (signal?.aborted === true) return abort();
        signal?.addEventListener('abort', abort, { once: true });
        waiters.add(waiter);
      }),
  };
}
