/** Rebuilds rollups from the raw rows, bucket by bucket: the reader's thread counts, the writer's puts the rows in place. */
import { METRIC_TYPES } from '../../core/metric.ts';
import type { ReaderMethods } from './reader-methods.ts';
import { cutoffOf, type RetentionPolicy } from './retention-policies.ts';
import { DAY_MS, HOUR_MS } from './rollup-series.ts';
import type { WorkerClient } from './worker-client.ts';
import type { WriterMethods } from './writer-methods.ts';

export interface BackfillOptions {
  /** Milliseconds since the Unix epoch. */
  readonly now: number;
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

/** Only buckets whose raw rows are all still there are touched; metrics may go on arriving. */
export async function backfill(
  writer: WorkerClient<WriterMethods>,
  reader: WorkerClient<ReaderMethods>,
  policies: readonly RetentionPolicy[],
  { now, onProgress, signal }: BackfillOptions,
): Promise<BackfillReport> {
  const cutoffs = METRIC_TYPES.flatMap((type) => cutoffOf(policies, type, now) ?? []);
  const { deletedBefore } = await reader.call('eventStats', []);
  const earliest = Math.max(deletedBefore, ...cutoffs);
  const bucketsOf = (table: 'rollup_hourly' | 'rollup_daily', bucketMs: number): Promise<number[]> =>
    reader.call('filledBuckets', [table, Math.ceil(earliest / bucketMs) * bucketMs, bucketMs]);
  const [hours, days] = await Promise.all([bucketsOf('rollup_hourly', HOUR_MS), bucketsOf('rollup_daily', DAY_MS)]);
  const work = [
    ...hours.map((bucket) => ({ table: 'rollup_hourly' as const, bucket, bucketMs: HOUR_MS })),
    ...days.map((bucket) => ({ table: 'rollup_daily' as const, bucket, bucketMs: DAY_MS })),
  ];
  const caps = await writer.call('rollupCaps', []);
  let done = 0;
  let longestHoldMs = 0;
  for (const { table, bucket, bucketMs } of work) {
    if (signal?.aborted === true) break;
    const maxRows = table === 'rollup_hourly' ? caps.maxHourlyRows : caps.maxDailyRows;
    const rebuilt = await reader.call('rebuildBucket', [bucket, bucketMs, maxRows]);
    const { heldMs } = await writer.call('replaceRollups', [table, bucket, bucketMs, rebuilt]);
    longestHoldMs = Math.max(longestHoldMs, heldMs);
    done += 1;
    onProgress?.(done, work.length);
  }
  return {
    hours: Math.min(done, hours.length),
    days: Math.max(0, done - hours.length),
    from: new Date(earliest).toISOString(),
    longestHoldMs,
    cancelled: done < work.length,
  };
}
