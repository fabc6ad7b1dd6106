/** Cuts the journal's records into the batches that a sink is given. */
import type { Checkpoint, JournalRecord, Position } from './journal.ts';
import { deliveredEvents } from './record.ts';
import type { DeliveredBatch, DeliveredEvent, DeliveredRecord } from './sink.ts';

/** A batch, and what is missing before it. */
export interface CutBatch {
  readonly batch: DeliveredBatch;
  /** Metrics between the position and the batch that the journal no longer has. */
  readonly lost: number;
}

/**
 * Takes up to `maxMetrics` events after `position`. Records stay whole where they fit; one that alone is larger than
 * the limit is cut, and the checkpoint then lies inside it.
 * @returns undefined where the records hold nothing after `position`
 */
export function cutBatch(
  records: readonly JournalRecord[],
  position: Position,
  journalId: string,
  maxMetrics: number,
): CutBatch | undefined {
  const chosen: DeliveredRecord[] = [];
  let metrics = 0;
  let lost = 0;
  let reached: Position = position;
  for (const record of records) {
    const base = record.count - record.metrics;
    // Inside this record only where the position is in it: count tells, since a gap may lie between.
    const from = Math.max(0, reached.count - base);
    const rest = record.metrics - from;
    if (rest <= 0) {
      if (metrics === 0 && record.metrics === 0) {
        lost += Math.max(0, record.count - reached.count);
        reached = { sequence: record.sequence, count: Math.max(reached.count, record.count) };
      }
      continue;
    }
    const missing = Math.max(0, base - reached.count);
    // A gap stands between two batches, never within one.
    if (missing > 0 && metrics > 0) break;
    if (metrics > 0 && metrics + rest > maxMetrics) break;
    lost += missing;
    const taken = Math.min(rest, maxMetrics);
    chosen.push({ ...record, from, to: from + taken });
    metrics += taken;
    reached =
      taken === rest
        ? { sequence: record.sequence, count: record.count }
        : { sequence: record.sequence - 1, count: base + from + taken };
    if (metrics >= maxMetrics) break;
  }
  return chosen.length === 0 ? undefined : { batch: makeBatch(chosen, metrics, { journalId, ...reached }), lost };
}

export function makeBatch(
  records: readonly DeliveredRecord[],
  metrics: number,
  checkpoint: Checkpoint,
  late = false,
): DeliveredBatch {
  let events: DeliveredEvent[] | undefined;
  return {
    records,
    metrics,
    checkpoint,
    late,
    get events() {
      events ??= records.flatMap((record) => deliveredEvents(record, checkpoint.journalId));
      return events;
    },
  };
}
