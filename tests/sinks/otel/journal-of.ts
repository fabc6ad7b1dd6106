/** A journal in memory for tests of the totals: bodies in, delivered batches out, as a delivery would cut them. */
import type { Checkpoint } from '../../../src/core/journal.ts';
import { makeBatch } from '../../../src/core/batch.ts';
import type { DeliveredBatch, DeliveredRecord } from '../../../src/core/sink.ts';

export interface Body {
  readonly service: string;
  readonly metrics: readonly object[];
}

export const JOURNAL_ID = 'journal-1';
/** Sunday 2026-11-22, 12:00 UTC. */
export const NOON = Date.UTC(2026, 10, 22, 12);

export interface TestJournal {
  /** @returns the record's sequence */
  readonly append: (body: Body, receivedAt?: number) => number;
  readonly records: DeliveredRecord[];
  readonly end: () => Checkpoint;
  /** Everything after a checkpoint, which may lie inside a record. */
  readonly after: (checkpoint: Checkpoint | undefined, maxMetrics?: number) => DeliveredBatch | undefined;
}

export function journalOf(bodies: readonly Body[] = [], id = JOURNAL_ID): TestJournal {
  const records: DeliveredRecord[] = [];
  const encoder = new TextEncoder();
  const end = (): Checkpoint => ({ journalId: id, sequence: records.length, count: records.at(-1)?.count ?? 0 });
  const append = (body: Body, receivedAt = NOON + records.length): number => {
    const metrics = body.metrics.length;
    const sequence = records.length + 1;
    const envelope = { f: 'json', q: `req_${sequence}`, t: receivedAt, k: 'key_1', s: body.service };
    records.push({
      sequence,
      count: end().count + metrics,
      metrics,
      from: 0,
      to: metrics,
      envelope: encoder.encode(JSON.stringify(envelope)),
      payload: encoder.encode(JSON.stringify(body)),
    });
    return sequence;
  };
  for (const body of bodies) append(body);
  return {
    append,
    records,
    end,
    after: (checkpoint, maxMetrics = Number.POSITIVE_INFINITY) => {
      const chosen: DeliveredRecord[] = [];
      let metrics = 0;
      let reached = checkpoint;
      for (const record of records) {
        if (checkpoint !== undefined && record.sequence <= checkpoint.sequence) continue;
        const before = record.count - record.metrics;
        const from = Math.max(0, (checkpoint?.count ?? 0) - before);
        const to = Math.min(record.metrics, from + maxMetrics - metrics);
        if (to <= from && record.metrics > 0) break;
        chosen.push({ ...record, from, to });
        metrics += to - from;
        const whole = to === record.metrics;
        reached = { journalId: id, sequence: whole ? record.sequence : record.sequence - 1, count: before + to };
      }
      return chosen.length === 0 || reached === undefined ? undefined : makeBatch(chosen, metrics, reached);
    },
  };
}
