/** One round of a delivery: reads what comes next, hands it to the sink, and finds out what a failure means. */
import { backoffDelay, type BackoffOptions } from '../backoff.ts';
import { cutBatch } from '../batch.ts';
import type { Checkpoint, JournalRecord, Position } from '../journal.ts';
import type { Clock, Log } from '../ports.ts';
import { readEnvelope } from '../record.ts';
import type { RecentRecords } from '../recent-records.ts';
import { keptOf } from '../redrive.ts';
import type { SetAside, SetAsideEvent } from '../set-aside.ts';
import { type DeliveredBatch, Rewind, type Sink, Unacceptable } from '../sink.ts';
import type { Pace } from './pace.ts';
import type { Progress } from './progress.ts';
import { isProbeDue, type SuspectOptions, trySuccessor } from './suspect.ts';
import { messageOf, type Trouble } from './trouble.ts';

export interface RoundOptions {
  readonly sink: Sink;
  readonly maxMetrics: number;
  readonly records: RecentRecords;
  readonly journalId: string;
  readonly locate: (checkpoint: Checkpoint) => Position | undefined;
  readonly setAside: SetAside;
  readonly write: (batch: DeliveredBatch) => Promise<void>;
  readonly progress: Progress;
  readonly pace: Pace;
  readonly trouble: Trouble;
  readonly backoff: BackoffOptions | undefined;
  readonly clock: Clock;
  readonly log: Log;
}

export interface Rounds {
  /** @throws where the journal cannot be read or the set-aside folder not be written; never what the sink throws */
  readonly next: () => Promise<void>;
  /** Goes to where the sink says that it stands. */
  readonly rewind: (rewind: Rewind) => Promise<void>;
  /** Batches are kept small: the event that the sink does not take is being looked for. */
  readonly narrowing: () => boolean;
  /** Receive time, by the wall clock, of the next queued metric where memory does not know it. */
  readonly behindSince: () => number | undefined;
}

/** Failures of a batch before it is halved, in case one event of it is the cause. */
const FAILURES_BEFORE_HALVING = 3;

export function createRounds(options: RoundOptions): Rounds {
  const { sink, maxMetrics, records, journalId, setAside, write, progress, pace, trouble, clock, log } = options;
  /** Where the sink itself stands, as far as is known: behind the delivery after a skip or a poison event. */
  let stored = progress.at();
  /** The most metrics of the next batch: `maxMetrics`, or less while a culprit is looked for. */
  let cap = maxMetrics;
  let behindSince: number | undefined;

  const halve = ({ metrics }: DeliveredBatch): void => {
    cap = Math.max(1, Math.ceil(metrics / 2));
  };

  /** The sink has taken the batch or said that it never will: it is there, and batches grow again. */
  const settle = ({ checkpoint }: DeliveredBatch, fate: 'delivered' | 'setAside'): void => {
    if (fate === 'delivered') trouble.over();
    else trouble.forget();
    cap = Math.min(maxMetrics, cap * 2);
    progress.advance(checkpoint, fate);
  };

  const putAside = async (batch: DeliveredBatch, error: unknown): Promise<SetAsideEvent> => {
    const entry = { ...keptOf(batch), sink: sink.name, reason: messageOf(error), at: clock.now() };
    await setAside.put(entry);
    return entry;
  };
  const tellSetAside = ({ id, reason }: SetAsideEvent): void =>
    log.error({ sink: sink.name, event: id, reason }, 'the sink cannot take this event; it was set aside');

  const suspectOptions: SuspectOptions = { sink, records, journalId, setAside, write, putAside };
  /** @returns true where the event, and not an outage, is to blame */
  const blame = async (batch: DeliveredBatch, error: unknown): Promise<boolean> => {
    const verdict = await trySuccessor(batch, error, suspectOptions);
    if (verdict === undefined) return false;
    for (const [each, entry] of [
      [batch, verdict.suspect],
      [verdict.next, verdict.successor],
    ] as const) {
      if (entry !== undefined) tellSetAside(entry);
      else stored = verdict.next.checkpoint;
      settle(each, entry === undefined ? 'delivered' : 'setAside');
    }
    return true;
  };

  /**
   * A sink that keeps its own checkpoint is asked where it is after a failure: the write may have been stored though its
   * answer was lost, or the sink may have gone back to a state before this batch.
   * @returns true where the sink stands elsewhere than the delivery thought
   */
  const resync = async (error: unknown): Promise<boolean> => {
    const rewind = error instanceof Rewind;
    const own = rewind ? error.checkpoint : await sink.checkpoint?.().catch(() => undefined);
    const at = (own && options.locate(own)) ?? (rewind ? records.tail() : undefined);
    const { count } = progress.at();
    if (at === undefined || at.count === count || (!rewind && at.count === stored.count)) return false;
    log.warn(
      { sink: sink.name, from: count, to: at.count },
      'the sink stands elsewhere than expected; the delivery goes on from there',
    );
    trouble.forget();
    stored = at;
    if (at.count > count) progress.advance(at, 'delivered');
    else progress.goBack(at);
    return true;
  };

  const failed = async (batch: DeliveredBatch, error: unknown, began: Position): Promise<void> => {
    // Skipped meanwhile: what failed is nobody's concern any longer.
    if (progress.at() !== began) return;
    if (error instanceof Unacceptable) {
      if (batch.metrics > 1) return halve(batch);
      tellSetAside(await putAside(batch, error));
      return settle(batch, 'setAside');
    }
    const failures = trouble.failed(error);
    if (await resync(error)) return;
    if (failures >= FAILURES_BEFORE_HALVING && batch.metrics > 1) halve(batch);
    if (batch.metrics === 1 && isProbeDue(failures) && (await blame(batch, error))) return;
    if (progress.at() === began) await pace.sleep(backoffDelay(failures, options.backoff));
  };

  const lose = (to: Position): void => {
    const metrics = progress.advance(to, 'skipped');
    if (metrics === 0) return;
    log.warn(
      { sink: sink.name, metrics },
      'the journal no longer holds metrics that this sink had not taken; they were skipped',
    );
  };

  /** Tells what is missing before the next batch, and cuts it; undefined where there is none now. */
  const cutNext = (read: readonly JournalRecord[], from: Position, head: Position): DeliveredBatch | undefined => {
    const cut = cutBatch(read, from, journalId, cap);
    if (cut === undefined) {
      // Records of no metrics are stepped over. Where nothing can be read, all up to the head is gone.
      lose(read.at(-1) ?? head);
      return undefined;
    }
    if (cut.lost > 0) lose({ sequence: from.sequence, count: from.count + cut.lost });
    return cut.batch;
  };

  const deliver = async (batch: DeliveredBatch): Promise<void> => {
    const began = progress.at();
    const oldest = batch.records[0]!;
    behindSince =
      records.since(oldest.sequence - 1) === undefined ? readEnvelope(oldest.envelope).receivedAt : undefined;
    try {
      await write(batch);
    } catch (error) {
      return failed(batch, error, began);
    }
    stored = batch.checkpoint;
    settle(batch, 'delivered');
  };

  const next = async (): Promise<void> => {
    const head = records.head();
    const from = progress.at();
    if (head.count === from.count) {
      progress.advance(head, 'delivered');
      return;
    }
    const loan = await records.read(from, cap);
    try {
      const batch = progress.at() === from ? cutNext(loan.records, from, head) : undefined;
      if (batch !== undefined) await deliver(batch);
    } finally {
      // A sink of somebody's own may look at a batch for as long as it likes.
      if (sink.releasesRecords === true) loan.giveBack();
    }
  };

  return {
    next,
    rewind: async (rewind) => void (await resync(rewind)),
    narrowing: () => cap < maxMetrics,
    behindSince: () => behindSince,
  };
}
