/**
 * A single event that fails again and again, without the sink calling it unacceptable: is it at fault, or is the sink
 * down? Its successor tells. If the sink takes that, or calls it unacceptable, the sink is there and the event is at fault.
 */
import { cutBatch, makeBatch } from '../batch.ts';
import type { RecentRecords } from '../recent-records.ts';
import { takesLate } from '../redrive.ts';
import type { SetAside, SetAsideEvent } from '../set-aside.ts';
import { type DeliveredBatch, type Sink, Unacceptable } from '../sink.ts';

export interface SuspectOptions {
  readonly sink: Sink;
  readonly records: RecentRecords;
  readonly journalId: string;
  readonly setAside: SetAside;
  readonly write: (batch: DeliveredBatch) => Promise<void>;
  /** Makes the entry of a batch of one event durable. */
  readonly putAside: (batch: DeliveredBatch, error: unknown) => Promise<SetAsideEvent>;
}

/** What became of the two; an entry is of one that is set aside, undefined of one that the sink took. */
export interface Verdict {
  readonly suspect: SetAsideEvent | undefined;
  readonly successor: SetAsideEvent | undefined;
  readonly next: DeliveredBatch;
}

/** Failures of a single event before its successor is tried; then after twice as many, and so on. */
const FAILURES_BEFORE_PROBE = 5;
export const isProbeDue = (failures: number): boolean =>
  failures % FAILURES_BEFORE_PROBE === 0 && Number.isInteger(Math.log2(failures / FAILURES_BEFORE_PROBE));

/**
 * The suspect is set aside before its successor is tried, so that a crash in between loses nothing.
 * @param batch the one event; @param error what it fails with
 * @returns undefined for an outage, or where there is no successor to ask
 */
export async function trySuccessor(
  batch: DeliveredBatch,
  error: unknown,
  { sink, records, journalId, setAside, write, putAside }: SuspectOptions,
): Promise<Verdict | undefined> {
  const after = batch.checkpoint;
  // The loan is not given back: this is rare, and the garbage collector does for it.
  const loan = await records.read(after, 1);
  const cut = cutBatch(loan.records, after, journalId, 1);
  if (cut === undefined || cut.lost > 0) return undefined;
  const next = cut.batch;
  const suspect = await putAside(batch, error);
  try {
    await write(next);
  } catch (nextError) {
    if (nextError instanceof Unacceptable) return { suspect, successor: await putAside(next, nextError), next };
    await setAside.remove(suspect.id);
    return undefined;
  }
  // The outage may have ended between the two: the event gets a last chance, or it would be set aside for nothing.
  if (!takesLate(sink)) return { suspect, successor: undefined, next };
  try {
    await write(makeBatch(batch.records, batch.metrics, next.checkpoint, true));
    await setAside.remove(suspect.id);
    return { suspect: undefined, successor: undefined, next };
  } catch {
    return { suspect, successor: undefined, next };
  }
}
