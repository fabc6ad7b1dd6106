/** Rebuilds rollups from the raw rows, day by day: a reader's thread of its own counts, the writer's puts the rows in place. */
import { METRIC_TYPES } from '../../core/metric.ts';
import type { ReaderMethods } from './reader-methods.ts';
import { cutoffOf } from './retention-policies.ts';
import type { WorkerClient } from './worker-client.ts';
import type { WriterMethods } from './writer-methods.ts';

export interface BackfillOptions {
  /** Milliseconds since the Unix epoch. */
  readonly now: number;
  /** Days, of all that there are to do. */
  readonly onProgress?: (done: number, total: number) => void;
  readonly signal?: AbortSignal;
}

export interface BackfillReport {
  /** Hours and days rebuilt. */
  readonly hours: number;
  readonly days: number;
  /** From here on all raw rows are there; hours and days that begin earlier stay as they are. */
  readonly from: string;
  /** The longest time for which the writer was held. */
  readonly longestHoldMs: number;
  readonly cancelled: boolean;
}

/** Only buckets whose raw rows are all still there are touched; metrics may go on arriving, but no cleanup may run meanwhile. */
export async function backfill(
  writer: WorkerClient<WriterMethods>,
  reader: WorkerClient<ReaderMethods>,
  { now, onProgress, signal }: BackfillOptions,
): Promise<BackfillReport> {
  const policies = await writer.call('listPolicies', []);
  const cutoffs = METRIC_TYPES.flatMap((type) => cutoffOf(policies, type, now) ?? []);
  const { deletedBefore } = await reader.call('eventStats', []);
  const earliest = Math.max(deletedBefore, ...cutoffs);
  const days = await reader.call('filledDays', [earliest]);
  const caps = await writer.call('rollupCaps', []);
  const rebuilt = { hours: 0, days: 0 };
  let done = 0;
  let longestHoldMs = 0;
  for (const day of days) {
    if (signal?.aborted === true) break;
    const { parts, seenId, ...made } = await reader.call('rebuildDay', [day, earliest, caps]);
    for (const part of parts) {
      const { heldMs } = await writer.call('replaceRollups', [part, seenId]);
      longestHoldMs = Math.max(longestHoldMs, heldMs);
    }
    rebuilt.hours += made.hours;
    rebuilt.days += made.days;
    done += 1;
    onProgress?.(done, days.length);
  }
  return {
    ...rebuilt,
    from: new Date(earliest).toISOString(),
    longestHoldMs,
    cancelled: done < days.length,
  };
}
