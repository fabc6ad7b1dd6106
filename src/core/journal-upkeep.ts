/**
 * Writes the sinks' checkpoints and frees what no one needs of the journal any longer. Where the journal fills, whoever
 * holds it back without need lets go: snapshots are taken anew, and sinks that may skip pass over the oldest part.
 */
import type { CheckpointFiles } from './checkpoint-file.ts';
import type { Delivery } from './delivery.ts';
import type { Journal, Position } from './journal.ts';
import type { Clock, Log, Timer } from './ports.ts';
import type { RecentRecords } from './recent-records.ts';
import type { Totals } from './totals.ts';

/** Someone beside the sinks who needs the journal from a position on, such as the idempotency snapshot. */
export interface JournalHolder {
  readonly name: string;
  readonly trimmable: () => Position | undefined;
  /** Makes `trimmable` go further, if it can. */
  readonly relieve?: () => Promise<void>;
}

export interface JournalUpkeepOptions {
  readonly journal: Journal;
  readonly records: RecentRecords;
  readonly deliveries: readonly Delivery[];
  readonly files: CheckpointFiles;
  readonly holders: readonly JournalHolder[];
  readonly clock: Clock;
  readonly log: Log;
  readonly intervalMs: number;
}

export interface JournalUpkeep {
  readonly start: () => void;
  /** Writes the checkpoints as they are now, frees what they allow, and ends. */
  readonly stop: () => Promise<void>;
}

/** At this share of the journal's limit the snapshots that hold it back are taken anew … */
const SNAPSHOT_AT = 0.6;
/** … and at this one sinks that may skip do so. */
const SKIP_AT = 0.85;
const ORIGIN: Position = { sequence: 0, count: 0 };

export function keepJournal(options: JournalUpkeepOptions): JournalUpkeep {
  const { journal, records, deliveries, files, clock, log } = options;
  /** The checkpoints as they are on disk: where a sink without one of its own goes back to after a crash. */
  const written = new Map<string, Position>();
  let timer: Timer | undefined;
  let working: Promise<void> = Promise.resolve();
  let relieving = false;
  let failing = false;
  let stopped = false;

  /** A checkpoint that cannot be written holds the journal for its own sink alone, and keeps nobody else from theirs. */
  const save = async (): Promise<void> => {
    let failure: unknown;
    for (const { sink, position } of deliveries) {
      const at = position();
      const last = written.get(sink.name);
      if (last?.count === at.count && last.sequence === at.sequence) continue;
      try {
        // Of a sink with a checkpoint of its own the file only says that it has been here.
        if (sink.checkpoint === undefined) await files.write(sink.name, at);
        written.set(sink.name, at);
      } catch (error) {
        failure = error;
      }
    }
    if (failure !== undefined && !failing)
      log.error({ err: failure }, 'checkpoints cannot be written; the journal keeps what they would have freed');
    if (failure === undefined && failing) log.info({}, 'checkpoints can be written again');
    failing = failure !== undefined;
  };

  const floorOf = ({ sink, position }: Delivery): Position => {
    if (sink.trimmable !== undefined) return sink.trimmable() ?? ORIGIN;
    return sink.checkpoint === undefined ? (written.get(sink.name) ?? ORIGIN) : position();
  };

  const trim = async (): Promise<void> => {
    records.release(Math.min(...deliveries.map((delivery) => delivery.position().sequence)));
    const { bytes, maxBytes } = journal.size();
    if (bytes > maxBytes * SNAPSHOT_AT) await relieve(bytes > maxBytes * SKIP_AT);
    const floors = [...deliveries.map(floorOf), ...options.holders.map(({ trimmable }) => trimmable() ?? ORIGIN)];
    const floor = Math.min(journal.head().sequence, ...floors.map(({ sequence }) => sequence));
    if (floor > journal.tail().sequence) await journal.trim(floor);
  };

  const relieve = async (maySkip: boolean): Promise<void> => {
    const mustWait = deliveries.filter(({ sink }) => sink.whenFull === 'refuse');
    const holders = [
      ...mustWait.map((delivery) => ({
        floor: floorOf(delivery).sequence,
        relieve: snapshotOf(delivery),
      })),
      ...options.holders.map((holder) => ({
        floor: (holder.trimmable() ?? ORIGIN).sequence,
        relieve: holder.relieve,
      })),
    ];
    const held = Math.min(journal.head().sequence, ...holders.map(({ floor }) => floor));
    // Only who holds the journal back lets go: anybody else's loss, or work, would free nothing.
    if (maySkip) await skipTo(held);
    if (held < journal.head().sequence)
      relieveInBackground(holders.filter(({ floor }) => floor === held).map((holder) => holder.relieve));
  };

  const skipTo = async (held: number): Promise<void> => {
    const tail = journal.tail().sequence;
    const middle = Math.floor((tail + journal.head().sequence) / 2);
    const behind = deliveries.filter(
      ({ sink, position }) => sink.whenFull === 'skip' && position().sequence < Math.min(held, middle),
    );
    if (behind.length === 0) return;
    const [record] = await journal.read(Math.min(held, middle) - 1, { maxBytes: 1, maxMetrics: 1 });
    if (record === undefined || record.sequence > held) return;
    for (const { sink, skip } of behind) {
      log.warn({ sink: sink.name }, 'the journal is nearly full and this sink is behind; it skips ahead');
      skip({ sequence: record.sequence, count: record.count });
    }
    await save();
  };

  /** Snapshots take their time, and trimming goes on meanwhile. */
  const relieveInBackground = (reliefs: readonly ((() => Promise<void>) | undefined)[]): void => {
    if (relieving) return;
    relieving = true;
    Promise.all(reliefs.map((each) => each?.()))
      .catch((error: unknown) => log.debug({ err: error }, 'a snapshot could not be taken to free the journal'))
      .finally(() => (relieving = false));
  };

  const round = async (): Promise<void> => {
    await save();
    try {
      await trim();
    } catch (error) {
      log.error({ err: error }, 'the journal could not be trimmed');
    }
  };

  const roundAndNext = async (): Promise<void> => {
    await round();
    if (!stopped) timer = clock.after(options.intervalMs, tick);
  };
  const tick = (): void => {
    working = roundAndNext();
  };

  return {
    start: tick,
    stop: async () => {
      stopped = true;
      timer?.cancel();
      await working;
      await round();
    },
  };
}

const snapshotOf = ({ sink }: Delivery): (() => Promise<void>) | undefined => (sink as Partial<Totals>).snapshot;
