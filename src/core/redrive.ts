/** What is kept of an event that a sink cannot take, and how it goes to that sink once more: after one of them was mended. */
import { makeBatch } from './batch.ts';
import type { Checkpoint } from './journal.ts';
import { deliveredEvents, encodeEvent } from './record.ts';
import type { SetAside, SetAsideEvent } from './set-aside.ts';
import { type DeliveredBatch, type Sink, Unacceptable } from './sink.ts';

export interface RedriveResult {
  /** Events that the sink has taken now. */
  readonly delivered: number;
  /** Events that are still set aside. */
  readonly remaining: number;
}

/** A sink that keeps its own checkpoint would take late events for written long ago, unless it says otherwise. */
export const takesLate = (sink: Sink): boolean => sink.checkpoint === undefined || sink.takesLate === true;

/**
 * Writes what is set aside, one event at a time in the journal's order. What the sink still cannot take stays.
 * @param at where the delivery stands; it does not move
 * @throws whatever the sink throws in an outage; what was taken until then is no longer set aside
 */
export async function redriveAll(
  setAside: SetAside,
  at: Checkpoint,
  write: (batch: DeliveredBatch) => Promise<void>,
): Promise<RedriveResult> {
  let delivered = 0;
  for (const entry of await setAside.list()) {
    try {
      await write(batchOf(entry, at));
    } catch (error) {
      if (error instanceof Unacceptable) continue;
      throw error;
    }
    await setAside.remove(entry.id);
    delivered += 1;
  }
  return { delivered, remaining: setAside.size() };
}

/** The event with the id that it always had, in the shape in which sinks take everything. */
function batchOf({ id, event, record }: SetAsideEvent, at: Checkpoint): DeliveredBatch {
  const { sequence, count } = at;
  if (event !== undefined) {
    const records = [{ ...encodeEvent(event), sequence, count, from: 0, to: 1 }];
    return { records, events: [event], metrics: 1, checkpoint: at, late: true };
  }
  const [journalId = '', itsSequence, index] = id.split('/');
  const from = Number(index);
  const raw = {
    envelope: Buffer.from(record?.envelope ?? '', 'base64'),
    payload: Buffer.from(record?.payload ?? '', 'base64'),
    metrics: record?.metrics ?? 1,
  };
  const read = makeBatch([{ ...raw, sequence: Number(itsSequence), count, from, to: from + 1 }], 1, {
    ...at,
    journalId,
  });
  return {
    records: read.records,
    metrics: 1,
    checkpoint: at,
    late: true,
    get events() {
      return read.events;
    },
  };
}

/** What is kept of a batch of one event. */
export function keptOf({ records, checkpoint }: DeliveredBatch): Pick<SetAsideEvent, 'id' | 'event' | 'record'> {
  const [record] = records;
  if (record === undefined) throw new Error('a batch of one event holds no record');
  const id = `${checkpoint.journalId}/${record.sequence}/${record.from}`;
  try {
    const [event] = deliveredEvents(record, checkpoint.journalId);
    if (event !== undefined) return { id, event };
  } catch {
    // A newer version wrote it: kept as it is.
  }
  const inBase64 = (bytes: Uint8Array): string => Buffer.from(bytes).toString('base64');
  return {
    id,
    record: { envelope: inBase64(record.envelope), payload: inBase64(record.payload), metrics: record.metrics },
  };
}
