/**
 * The one sink behind all readers of the totals. Records go to the totals thread, which counts them; between snapshots
 * the state lives there alone, so a lost thread rewinds the delivery to the snapshot it comes up with.
 */
import { join } from 'node:path';
import type { Checkpoint } from '../../core/journal.ts';
import type { Log } from '../../core/ports.ts';
import { Rewind, type DeliveredBatch, type SinkContext, type TotalsReader } from '../../core/sink.ts';
import type { Totals, TotalsOptions } from '../../core/totals.ts';
import { resolveSeriesSettings } from './instruments.ts';
import { isOtlpSettings, isPrometheusSettings } from './reader-settings.ts';
import { createPacker } from '../../core/record-transfer.ts';
import { gatewayVersion } from './gateway-version.ts';
import { openScrapers, type Scrapers } from './scrapers.ts';
import { registerTotalsMetrics, type TotalsBooks } from './totals-metrics.ts';
import { createTotalsThread, type TotalsThread } from './totals-thread.ts';

/** A scrape sees a metric less than a second after its 200. */
const BATCHING = { maxMetrics: 5_000, maxDelayMs: 50 } as const;
const SNAPSHOT_INTERVAL_MS = 10_000;

interface Running {
  readonly thread: TotalsThread;
  readonly scrapers: Scrapers;
  readonly log: Log;
}

export function openTotals(readers: readonly TotalsReader[], options: TotalsOptions): Totals {
  const enabled = readers.filter((reader) => reader.enabled !== false);
  const settings = resolveSeriesSettings(options);
  const delivered = new Map(enabled.map(({ name }) => [name, 0]));
  const packer = createPacker();
  let running: Running | undefined;
  let books: TotalsBooks | undefined;
  /** What the thread has counted, as its last answer said. */
  let counted: Checkpoint | undefined;
  /** The totals are true once they have come so far: the journal's end at start, what was shown before a loss. */
  let currentAt: Checkpoint | undefined;
  let current = false;
  /** Set while a thread that came up anew has not told its place to the delivery. */
  let rewindTo: Rewind | undefined;

  const expectRunning = (): Running => {
    if (running === undefined) throw new Error('totals: used before start, or after stop');
    return running;
  };

  /** Becomes current once the totals have come to where they were shown, or the journal ended, before. */
  const place = (checkpoint: Checkpoint | undefined): void => {
    counted = checkpoint;
    if (running === undefined || currentAt === undefined || !reached(counted, currentAt)) return;
    for (const [name] of running.scrapers.addresses) delivered.set(name, counted?.count ?? 0);
    if (current) return;
    current = true;
    const { thread, log } = running;
    thread.ask({ kind: 'current' }).catch((error: unknown) => {
      log.debug({ err: error }, 'the totals thread was lost before it could be told that it is current');
    });
  };

  const notReady = (): string | undefined => {
    if (running?.thread.isUp() !== true) return 'The totals are being restored.';
    return current ? undefined : 'The totals are being brought up to date from the journal.';
  };

  const start = async (context: SinkContext): Promise<void> => {
    if (running !== undefined) return;
    const { log, clock, telemetry } = context;
    const thread = createTotalsThread({
      data: {
        settings,
        directory: join(context.dataDirectory, 'snapshots'),
        resource: options.resource ?? {},
        version: gatewayVersion(),
        processStart: performance.timeOrigin,
        snapshotIntervalMs: SNAPSHOT_INTERVAL_MS,
        pushers: enabled.flatMap(({ name, settings: each }) =>
          isOtlpSettings(each) ? [{ name, settings: each }] : [],
        ),
      },
      clock,
      log,
      families: telemetry.collect,
      onUp: ({ checkpoint, statistics }) => {
        books?.note(statistics);
        // Of the first thread the delivery hears by `checkpoint` and `resume`.
        if (currentAt !== undefined) {
          rewindTo = lostSince(checkpoint);
          context.rewind?.(rewindTo);
        }
        place(checkpoint);
      },
      onDown: () => {
        if (counted !== undefined && currentAt !== undefined && reached(counted, currentAt)) currentAt = counted;
        current = false;
        books?.restarted();
      },
      onAnswer: ({ checkpoint, statistics }) => {
        books?.note(statistics);
        place(checkpoint);
      },
      onExport: (reader, count, failure) => {
        books?.exported(reader, failure);
        if (failure === undefined) delivered.set(reader, count);
      },
    });
    books ??= registerTotalsMetrics(telemetry, { thread: () => running?.thread, delivered });
    const scrapers = await openScrapers({
      readers: enabled.flatMap(({ name, settings: each }) =>
        isPrometheusSettings(each) ? [{ name, settings: each }] : [],
      ),
      totals: thread.scrape,
      families: telemetry.collect,
      notReady,
      onScrape: books.scraped,
      log,
    });
    running = { thread, scrapers, log };
    try {
      await thread.start();
    } catch (error) {
      await stop();
      throw error;
    }
  };

  const stop = async (): Promise<void> => {
    if (running === undefined) return;
    const { thread, scrapers, log } = running;
    if (thread.isUp()) {
      await thread.ask({ kind: 'stop' }).catch((error: unknown) => {
        log.error({ err: error }, 'the last snapshot of the totals failed; the journal holds what it lacks');
      });
    }
    running = undefined;
    await Promise.all([thread.stop(), scrapers.close()]);
  };

  return {
    name: 'totals',
    whenFull: 'refuse',
    batching: BATCHING,
    takesLate: true,
    releasesRecords: true,
    start,
    stop,
    write: async (batch: DeliveredBatch, signal: AbortSignal) => {
      const { thread } = expectRunning();
      const buffer = packer.pack(batch.records);
      if (!thread.isUp()) await thread.ask({ kind: 'checkpoint' }, [], signal);
      if (rewindTo !== undefined) {
        const rewind = rewindTo;
        rewindTo = undefined;
        throw rewind;
      }
      const { memory } = await thread.ask(
        { kind: 'write', buffer, checkpoint: batch.checkpoint, late: batch.late === true },
        [buffer],
        signal,
      );
      packer.takeBack(memory);
    },
    checkpoint: async () => {
      const { checkpoint } = await expectRunning().thread.ask({ kind: 'checkpoint' });
      // The delivery goes there now; one that fits another journal it can only be told by a rewind.
      if (checkpoint !== undefined && checkpoint.journalId === currentAt?.journalId) rewindTo = undefined;
      return checkpoint;
    },
    resume: (from, end) => {
      currentAt = end;
      place(from);
    },
    trimmable: () => {
      const previous = running?.thread.snapshots().previous;
      // A snapshot of another journal says nothing about this one.
      return previous?.journalId === currentAt?.journalId ? previous : undefined;
    },
    health: () => {
      const detail = notReady();
      return detail === undefined ? { healthy: true } : { healthy: false, detail };
    },
    snapshot: async () => {
      await expectRunning().thread.ask({ kind: 'snapshot' });
    },
    delivered: () => delivered,
  };
}

const lostSince = (checkpoint: Checkpoint | undefined): Rewind =>
  new Rewind('the totals thread was lost and came back with its last snapshot', checkpoint);

const reached = (at: Checkpoint | undefined, goal: Checkpoint): boolean =>
  goal.count === 0 || (at !== undefined && at.journalId === goal.journalId && at.count >= goal.count);
