/** All deliveries together: opened at start, each placed where its sink stands; flushed and stopped as one. */
import { join } from 'node:path';
import { openCheckpointFiles } from './checkpoint-file.ts';
import { createDelivery, type Delivery } from './delivery.ts';
import { registerDeliveryMetrics } from './delivery-metrics.ts';
import type { Journal } from './journal.ts';
import { type JournalHolder, type JournalUpkeep, keepJournal } from './journal-upkeep.ts';
import { openLineage } from './lineage.ts';
import { checkpointOf, place, type Placement, type StoredCheckpoints, tellPlacements } from './placement.ts';
import type { Clock, Log, Telemetry } from './ports.ts';
import { createRecentRecords, type RecentRecords } from './recent-records.ts';
import { openSetAside } from './set-aside.ts';
import { Refusal } from './refusal.ts';
import type { Sink } from './sink.ts';

export interface DeliveriesOptions {
  readonly sinks: readonly Sink[];
  readonly journal: Journal;
  readonly dataDirectory: string;
  readonly clock: Clock;
  readonly log: Log;
  readonly telemetry: Telemetry;
  /** Makes an id for a journal that was found older than its checkpoints. */
  readonly newId: () => string;
  /** Records kept in memory for deliveries that keep up. Default 32 MiB. */
  readonly memoryBytes?: number;
  /** Events set aside per sink at most; the oldest go first, counted. Default 10,000. */
  readonly maxSetAside?: number;
  /** How often checkpoints are written and the journal is trimmed. Milliseconds; default 500. */
  readonly checkpointIntervalMs?: number;
  readonly holders?: readonly JournalHolder[];
}

export interface Deliveries {
  readonly records: RecentRecords;
  readonly all: readonly Delivery[];
  /** The id that checkpoints carry. */
  readonly journalId: string;
  readonly start: () => void;
  /**
   * Resolves once every sink has what the journal holds now.
   * @throws Refusal `overloaded` at the deadline, with the names of those behind
   */
  readonly flush: (timeoutMs: number) => Promise<void>;
  /**
   * Delivers what it can until `signal`, then stops deliveries and sinks and writes the last checkpoints. Each sink in its
   * own time: one that hangs takes nothing from the others.
   */
  readonly stop: (signal: AbortSignal) => Promise<void>;
}

/** After the deadline an aborted write, and a sink that stops, have so long before they are left behind. */
const GRACE_MS = 250;

/** @throws what a sink's `start` throws; those that had started are stopped again */
export async function openDeliveries(options: DeliveriesOptions): Promise<Deliveries> {
  const { sinks, log } = options;
  const started: Sink[] = [];
  try {
    return await open(options, started);
  } catch (error) {
    for (const sink of started.toReversed()) {
      await sink.stop?.().catch((stopError: unknown) => log.warn({ sink: sink.name, err: stopError }, NOT_STOPPED));
    }
    throw error;
  } finally {
    if (sinks.length === 0)
      log.warn({}, 'no sink is enabled: what is accepted is kept in the journal and goes nowhere');
  }
}

const NOT_STOPPED = 'the sink did not stop in good order';

async function open(options: DeliveriesOptions, started: Sink[]): Promise<Deliveries> {
  const { sinks, journal, clock, log, telemetry, dataDirectory } = options;
  const files = await openCheckpointFiles(join(dataDirectory, 'checkpoints'));
  for (const sink of await files.keepOnly(sinks.map(({ name }) => name))) {
    log.warn(
      { sink },
      'this sink is no longer configured; its checkpoint was removed, and the journal keeps nothing for it',
    );
  }

  const all: Delivery[] = [];
  const stored = new Map<Sink, StoredCheckpoints>();
  for (const sink of sinks) {
    started.push(sink);
    await sink.start?.({
      log: log.child({ sink: sink.name }),
      clock,
      telemetry,
      dataDirectory,
      rewind: (rewind) => all.find((delivery) => delivery.sink === sink)?.rewind(rewind),
    });
    stored.set(sink, { own: await sink.checkpoint?.(), file: await files.read(sink.name) });
  }
  const checkpoints = [...stored].flatMap(([sink, found]) => {
    const checkpoint = checkpointOf(sink, found);
    return checkpoint === undefined ? [] : [checkpoint];
  });
  const lineage = await openLineage(join(dataDirectory, 'journal-lineage.json'), journal, checkpoints, options.newId);
  const placements = new Map<string, Placement>();
  for (const [sink, found] of stored) placements.set(sink.name, place(sink, found, lineage, journal));
  tellPlacements(placements, journal, log, telemetry);
  // Before anything is accepted: a sink of which a crash leaves no trace would be new again, and pass over what came.
  for (const [{ name }, { file }] of stored) {
    if (typeof file !== 'object') await files.write(name, { journalId: lineage.id, ...placements.get(name)!.position });
  }

  const records = createRecentRecords(journal, clock, options.memoryBytes ?? 32 * 1024 * 1024);
  const noteWrite = registerDeliveryMetrics(telemetry, journal, all);
  for (const sink of sinks) {
    const { position } = placements.get(sink.name)!;
    sink.resume?.({ journalId: lineage.id, ...position }, { journalId: lineage.id, ...journal.head() });
    all.push(
      createDelivery({
        sink,
        records,
        journalId: lineage.id,
        locate: lineage.locate,
        position,
        setAside: await openSetAside(join(dataDirectory, 'set-aside', sink.name), options.maxSetAside ?? 10_000, log),
        clock,
        log,
        onWrite: (durationMs, failed) => noteWrite(sink.name, durationMs, failed),
      }),
    );
  }
  const upkeep = keepJournal({
    journal,
    records,
    deliveries: all,
    files,
    holders: options.holders ?? [],
    clock,
    log,
    intervalMs: options.checkpointIntervalMs ?? 500,
  });
  return run(options, records, all, lineage.id, upkeep);
}

function run(
  { clock, log }: DeliveriesOptions,
  records: RecentRecords,
  all: readonly Delivery[],
  journalId: string,
  upkeep: JournalUpkeep,
): Deliveries {
  /** Waits for `work` until a moment after the deadline, and lets it be then. */
  const within = async (signal: AbortSignal, work: Promise<unknown> | undefined): Promise<void> => {
    const late = Promise.withResolvers<void>();
    const expire = (): void => void clock.after(GRACE_MS, late.resolve);
    if (signal.aborted) expire();
    signal.addEventListener('abort', expire, { once: true });
    await Promise.race([work, late.promise]);
    signal.removeEventListener('abort', expire);
  };

  const end = async (delivery: Delivery, signal: AbortSignal): Promise<void> => {
    const { sink } = delivery;
    await delivery.flush(signal).catch(() => {
      log.warn(
        { sink: sink.name, queued: delivery.queued() },
        'this sink could not take everything in time; the journal keeps it',
      );
    });
    await within(signal, delivery.stop(signal));
    try {
      await within(signal, sink.stop?.());
    } catch (error) {
      log.warn({ sink: sink.name, err: error }, NOT_STOPPED);
    }
  };

  return {
    records,
    all,
    journalId,
    start: () => {
      for (const delivery of all) delivery.start();
      upkeep.start();
    },
    flush: async (timeoutMs) => {
      const expired = new AbortController();
      const timer = clock.after(timeoutMs, () => expired.abort(new Error('not delivered in time')));
      const behind = new Set<string>();
      await Promise.all(
        all.map((delivery) => delivery.flush(expired.signal).catch(() => behind.add(delivery.sink.name))),
      );
      timer.cancel();
      if (behind.size === 0) return;
      throw new Refusal(
        'overloaded',
        `Not everything could be written within ${timeoutMs / 1000} seconds; behind: ${[...behind].join(', ')}. What was accepted is safe in the journal and on its way: ask again.`,
        { retryAfterSeconds: 1 },
      );
    },
    stop: async (signal) => {
      await Promise.all(all.map((delivery) => end(delivery, signal)));
      await upkeep.stop();
    },
  };
}
