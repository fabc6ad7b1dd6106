/** All deliveries together: placed at start, checkpointed, trimmed behind, flushed and stopped as one. */
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { type CheckpointFiles, openCheckpointFiles } from './checkpoint-file.ts';
import { createDelivery, type Delivery } from './delivery.ts';
import { registerDeliveryMetrics } from './delivery-metrics.ts';
import type { Checkpoint, Journal, Position } from './journal.ts';
import { type Lineage, openLineage } from './lineage.ts';
import type { Clock, Log, Telemetry, Timer } from './ports.ts';
import { createRecentRecords, type RecentRecords } from './recent-records.ts';
import { openSetAside } from './set-aside.ts';
import type { Sink, SinkContext } from './sink.ts';

export interface DeliveriesOptions {
  readonly sinks: readonly Sink[];
  readonly journal: Journal;
  readonly dataDirectory: string;
  readonly clock: Clock;
  readonly log: Log;
  readonly telemetry: Telemetry;
  /** Makes an id for a journal that was found older than its checkpoints. */
  readonly newId: () => string;
  /** Records kept in memory for deliveries that keep up. Default 64 MiB. */
  readonly memoryBytes?: number;
  /** Events set aside per sink at most; the oldest go first, counted. Default 10,000. */
  readonly maxSetAside?: number;
  /** How often checkpoints are written and the journal is trimmed. Milliseconds; default 500. */
  readonly checkpointIntervalMs?: number;
  /** Others who need the journal from a position on, such as the idempotency snapshot. */
  readonly holders?: readonly {
    readonly name: string;
    readonly trimmable: () => Position | undefined;
    readonly relieve?: () => Promise<void>;
  }[];
}

export interface Deliveries {
  readonly records: RecentRecords;
  readonly all: readonly Delivery[];
  /** The id that checkpoints carry. */
  readonly journalId: string;
  readonly start: () => void;
  /** Resolves once every sink has what the journal holds now, or rejects at the deadline with the names of those behind. */
  readonly flush: (timeoutMs: number) => Promise<void>;
  /** Delivers what it can until `signal`, then stops deliveries and sinks and writes the last checkpoints. */
  readonly stop: (signal: AbortSignal) => Promise<void>;
}

/** At this share of the journal's limit, sinks that may skip let go of the oldest segments. */
const PRESSURE = 0.85;

export async function openDeliveries(options: DeliveriesOptions): Promise<Deliveries> {
  const { sinks, journal, clock, log, telemetry, dataDirectory } = options;
  const files = await openCheckpointFiles(join(dataDirectory, 'checkpoints'));
  for (const sink of await files.keepOnly(sinks.map(({ name }) => name))) {
    log.warn(
      { sink },
      'this sink is no longer configured; its checkpoint was removed, and if it comes back it starts at the journal’s end',
    );
  }

  const all: Delivery[] = [];
  const stored = new Map<string, { own: Checkpoint | undefined; file: Checkpoint | undefined }>();
  for (const sink of sinks) {
    const context: SinkContext = {
      log: log.child({ sink: sink.name }),
      clock,
      telemetry,
      dataDirectory,
      rewind: (rewind) => all.find((delivery) => delivery.sink === sink)?.rewind(rewind),
    };
    await sink.start?.(context);
    stored.set(sink.name, { own: await sink.checkpoint?.(), file: await files.read(sink.name) });
  }
  const checkpoints = [...stored.values()]
    .flatMap(({ own, file }) => [own, file])
    .filter((found) => found !== undefined);
  const { lineage, rolledBack } = await openLineage(
    join(dataDirectory, 'journal-lineage.json'),
    journal,
    checkpoints,
    options.newId,
  );
  if (rolledBack) {
    log.warn(
      { journal: lineage.id },
      'the journal is older than what a sink holds, as after restoring a backup; it goes on under a new id',
    );
  }

  const records = createRecentRecords(journal, clock, options.memoryBytes ?? 64 * 1024 * 1024);
  const writes = registerDeliveryMetrics(telemetry, journal, all);
  for (const sink of sinks) {
    const { own, file } = stored.get(sink.name)!;
    const position = place(sink, own, file, lineage, journal, log);
    sink.resume?.({ journalId: lineage.id, ...position }, { journalId: lineage.id, ...journal.head() });
    all.push(
      createDelivery({
        sink,
        records,
        journalId: lineage.id,
        locate: lineage.locate,
        position,
        setAside: await openSetAside(join(dataDirectory, 'set-aside', sink.name), options.maxSetAside ?? 10_000),
        clock,
        log,
        onWrite: (durationMs, failed) => writes(sink.name, durationMs, failed),
      }),
    );
  }
  await mkdir(dataDirectory, { recursive: true });
  return run(options, files, records, all, lineage.id, stored);
}

/** Where a sink goes on; every surprise is told in one line. */
function place(
  sink: Sink,
  own: Checkpoint | undefined,
  file: Checkpoint | undefined,
  lineage: Lineage,
  journal: Journal,
  log: Log,
): Position {
  const checkpoint = sink.checkpoint === undefined ? file : own;
  const located = checkpoint === undefined ? undefined : lineage.locate(checkpoint);
  if (located !== undefined) return located;
  if (checkpoint !== undefined) {
    log.warn(
      { sink: sink.name },
      'the journal is another one than this sink knows; the sink gets everything that the journal holds',
    );
    return journal.tail();
  }
  if (file !== undefined) {
    log.warn({ sink: sink.name }, 'what this sink had stored is gone; it gets everything that the journal still holds');
    return journal.tail();
  }
  if (journal.head().count > 0) log.info({ sink: sink.name }, 'a new sink; it starts at the journal’s end');
  return journal.head();
}

function run(
  options: DeliveriesOptions,
  files: CheckpointFiles,
  records: RecentRecords,
  all: readonly Delivery[],
  journalId: string,
  stored: ReadonlyMap<string, { file: Checkpoint | undefined }>,
): Deliveries {
  const { journal, clock, log } = options;
  /** The checkpoints as they are on disk; what a sink without one of its own would go back to after a crash. */
  const written = new Map<string, Position>();
  let timer: Timer | undefined;
  let saving: Promise<void> = Promise.resolve();
  let stopped = false;

  const save = async (): Promise<void> => {
    for (const delivery of all) {
      const { name } = delivery.sink;
      const position = delivery.position();
      if (written.get(name)?.count === position.count && written.get(name)?.sequence === position.sequence) continue;
      // A sink with a checkpoint of its own only needs to be remembered as known.
      if (delivery.sink.checkpoint === undefined || (stored.get(name)?.file === undefined && !written.has(name))) {
        await files.write(name, position);
      }
      written.set(name, position);
    }
  };

  const floorOf = (delivery: Delivery): Position => {
    const { sink } = delivery;
    if (sink.trimmable !== undefined) return sink.trimmable() ?? { sequence: 0, count: 0 };
    return sink.checkpoint === undefined ? (written.get(sink.name) ?? { sequence: 0, count: 0 }) : delivery.position();
  };

  const trim = async (): Promise<void> => {
    records.release(Math.min(...all.map((delivery) => delivery.position().sequence)));
    const { bytes, maxBytes } = journal.size();
    const pressed = bytes > maxBytes * PRESSURE;
    if (pressed) await relieve();
    const floors = [
      ...all.map(floorOf),
      ...(options.holders ?? []).map(({ trimmable }) => trimmable() ?? { sequence: 0, count: 0 }),
    ];
    const floor = Math.min(journal.head().sequence, ...floors.map(({ sequence }) => sequence));
    if (floor > journal.tail().sequence) await journal.trim(floor);
  };

  /** The journal fills: whoever may skip passes over its older half, and snapshots are taken anew. */
  const relieve = async (): Promise<void> => {
    const tail = journal.tail();
    const head = journal.head();
    const [middle] = await journal.read(Math.floor((tail.sequence + head.sequence) / 2), {
      maxBytes: 1,
      maxMetrics: 1,
    });
    for (const delivery of all) {
      if (delivery.sink.whenFull === 'skip' && middle !== undefined && delivery.position().sequence < middle.sequence) {
        log.warn({ sink: delivery.sink.name }, 'the journal is nearly full; this sink is behind and skips ahead');
        delivery.skip(middle);
      }
    }
    await save();
    for (const holder of options.holders ?? []) await holder.relieve?.();
  };

  const tick = (): void => {
    saving = (async () => {
      try {
        await save();
        await trim();
      } catch (error) {
        log.error({ err: error }, 'checkpoints could not be written; the journal keeps what they would have freed');
      }
      if (!stopped) timer = clock.after(options.checkpointIntervalMs ?? 500, tick);
    })();
  };

  return {
    records,
    all,
    journalId,
    start: () => {
      for (const delivery of all) delivery.start();
      tick();
    },
    flush: async (timeoutMs) => {
      const behind = new Set(all.map(({ sink }) => sink.name));
      const flushed = Promise.all(
        all.map(async (delivery) => delivery.flush().then(() => behind.delete(delivery.sink.name))),
      );
      let expire: Timer | undefined;
      const expired = new Promise<never>((_, reject) => {
        expire = clock.after(timeoutMs, () =>
          reject(new Error(`not delivered within ${timeoutMs} ms: ${[...behind].join(', ')}`)),
        );
      });
      try {
        await Promise.race([flushed, expired]);
      } finally {
        expire?.cancel();
      }
    },
    stop: async (signal) => {
      stopped = true;
      timer?.cancel();
      const aborted = new Promise<void>((resolve) => {
        if (signal.aborted) resolve();
        signal.addEventListener('abort', () => resolve(), { once: true });
      });
      await Promise.race([Promise.all(all.map((delivery) => delivery.flush())), aborted]);
      await Promise.race([Promise.all(all.map((delivery) => delivery.stop(signal))), aborted]);
      await saving;
      await Promise.race([Promise.all(all.map(({ sink }) => sink.stop?.())), aborted]);
      await save();
      await trim().catch(() => {});
    },
  };
}
