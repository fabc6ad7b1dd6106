/** The SQLite sink: history that can be asked in SQL, each metric exactly once. */
import type { Checkpoint } from '../../core/journal.ts';
import { checkOptions, checkPositive } from '../../core/options.ts';
import type { Log } from '../../core/ports.ts';
import type { Sink, SinkHealth } from '../../core/sink.ts';
import { statSync } from 'node:fs';
import { join } from 'node:path';
import type { WriterCaps } from './writer-caps.ts';
import { openStore, type Store } from './store.ts';

export interface SqliteOptions {
  /** The database file. Default: `metrics.db` in the data directory. */
  readonly path?: string;
  /** A batch is written once its oldest metric has waited so long. Default 5,000 ms. */
  readonly flushIntervalMs?: number;
  /** … or once it holds so many metrics. Default 20,000. */
  readonly maxBatchMetrics?: number;
  /**
   * When the journal cannot hold this sink's backlog any longer: `refuse` answers new requests with 503 until it can
   * (default), `skip` leaves a counted gap in the history.
   */
  readonly whenFull?: 'refuse' | 'skip';
  /** False leaves the sink out. Default true. */
  readonly enabled?: boolean;
  /** Distinct attribute combinations kept in dictionaries; what comes later takes more space. Default 20,000. */
  readonly maxAttributeSets?: number;
  /** Distinct values per label column kept in dictionaries. Default 2,000. */
  readonly maxLabelValues?: number;
  /** Series per hour in `metrics_hourly`; further ones count in one overflow row per type. Default 4,000. */
  readonly maxHourlySeries?: number;
  /** Series per day in `metrics_daily`. Default 10,000. */
  readonly maxDailySeries?: number;
}

/** Keeps all metrics in a SQLite file, written by a thread of its own in large transactions. */
export function sqlite(options: SqliteOptions = {}): Sink {
  checkOptions('sqlite', options, {
    path: true,
    flushIntervalMs: true,
    maxBatchMetrics: true,
    whenFull: true,
    enabled: true,
    maxAttributeSets: true,
    maxLabelValues: true,
    maxHourlySeries: true,
    maxDailySeries: true,
  });
  const { flushIntervalMs, maxBatchMetrics, maxAttributeSets, maxLabelValues, maxHourlySeries, maxDailySeries } =
    options;
  checkPositive('sqlite', {
    flushIntervalMs,
    maxBatchMetrics,
    maxAttributeSets,
    maxLabelValues,
    maxHourlySeries,
    maxDailySeries,
  });
  let store: Store | undefined;
  let log: Log | undefined;
  let health: SinkHealth = { healthy: false, detail: 'not started' };

  const open = (): Store => {
    if (store === undefined) throw new Error('the sqlite sink is not started');
    return store;
  };
  return {
    name: 'sqlite',
    whenFull: options.whenFull ?? 'refuse',
    enabled: options.enabled ?? true,
    batching: { maxDelayMs: options.flushIntervalMs ?? 5000, maxMetrics: options.maxBatchMetrics ?? 20_000 },
    start: async (context) => {
      if (store !== undefined) return;
      log = context.log;
      store = await openStore(options.path ?? join(context.dataDirectory, 'metrics.db'), {
        log: context.log,
        caps: capsOf(options),
      });
      health = { healthy: true };
      context.telemetry.gauge(DATABASE_BYTES, () => bytesOf(open().path));
    },
    takesLate: true,
    releasesRecords: true,
    checkpoint: (): Promise<Checkpoint | undefined> => open().checkpoint(),
    write: async (batch, signal) => {
      signal.throwIfAborted();
      try {
        await abortable(open().write(batch.records, batch.checkpoint, batch.late), signal);
        if (!health.healthy) {
          log?.info({ path: open().path }, 'the database takes metrics again');
          health = { healthy: true };
        }
      } catch (error) {
        if (!signal.aborted && (error as Error).name !== 'Unacceptable') {
          health = { healthy: false, detail: error instanceof Error ? error.message : String(error) };
        }
        throw error;
      }
    },
    stop: async () => {
      const closing = store;
      store = undefined;
      health = { healthy: false, detail: 'stopped' };
      await closing?.close();
    },
    health: () => health,
  };
}

const DATABASE_BYTES = {
  name: 'mcp_gateway_database_bytes',
  help: 'Size of the database file and its write-ahead log.',
  unit: 'By',
};

const bytesOf = (path: string): number =>
  [path, `${path}-wal`].reduce((sum, file) => sum + (statSync(file, { throwIfNoEntry: false })?.size ?? 0), 0);

function capsOf(options: SqliteOptions): Partial<WriterCaps> {
  const { maxAttributeSets, maxLabelValues, maxHourlySeries, maxDailySeries } = options;
  return {
    ...(maxAttributeSets === undefined ? undefined : { maxAttributeSets }),
    ...(maxLabelValues === undefined ? undefined : { maxLabelValues }),
    ...(maxHourlySeries === undefined ? undefined : { maxHourlyRows: maxHourlySeries }),
    ...(maxDailySeries === undefined ? undefined : { maxDailyRows: maxDailySeries }),
  };
}

/** The transaction itself cannot be stopped; should it commit after all, the same batch is passed over when it comes again. */
async function abortable(work: Promise<void>, signal: AbortSignal): Promise<void> {
  const aborted = Promise.withResolvers<never>();
  const abort = (): void => aborted.reject(signal.reason as Error);
  signal.addEventListener('abort', abort, { once: true });
  try {
    await Promise.race([work, aborted.promise]);
  } finally {
    signal.removeEventListener('abort', abort);
    work.catch(() => undefined);
  }
}
