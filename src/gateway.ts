/**
 * Puts a pipeline together and runs it: keys, journal, deliveries, chain, listeners. Started from the sinks upward,
 * stopped from the listener downward. The one place that knows all the parts.
 */
import { randomUUID } from 'node:crypto';
import { dirname, join, resolve } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { createAccounting } from './core/accounting.ts';
import { type Deliveries, openDeliveries } from './core/deliveries.ts';
import type { Delivery } from './core/delivery.ts';
import type { Journal } from './core/journal.ts';
import type { KeyStore } from './core/key-store.ts';
import type { Pipeline } from './core/pipeline.ts';
import type { Log, Telemetry } from './core/ports.ts';
import { builtIn, type Processor, type ProcessorContext } from './core/processor.ts';
import { deliveredEvents } from './core/record.ts';
import { createRunner } from './core/runner.ts';
import type { AnySink, Sink, TotalsReader } from './core/sink.ts';
import { createApp } from './http/app.ts';
import { type ControlListener, createControlApp, listenControl } from './http/control.ts';
import type { HttpDependencies } from './http/dependencies.ts';
import type { MaintenanceDependencies, SetAsideDesk } from './http/maintenance.ts';
import { registerInFlight } from './http/in-flight.ts';
import { listen } from './http/server.ts';
import { lockDirectory } from './sinks/sqlite/directory-lock.ts';
import { openIdempotencyIndex } from './journal/idempotency-index.ts';
import { openMemoryJournal } from './journal/memory-journal.ts';
import { openSegmentedLog } from './journal/segmented-log.ts';
import type { AuthProcessor } from './processors/auth.ts';
import type { BufferOptions, BufferProcessor } from './processors/buffer.ts';
import type { RateLimitProcessor } from './processors/rate-limit.ts';
import type { PrometheusSettings } from './sinks/otel/reader-settings.ts';
import { watchReadiness } from './gateway/readiness.ts';
import { openKeyStore } from './sinks/sqlite/key-store.ts';
import { createOwedWrites } from './sinks/sqlite/owed-writes.ts';
import { startCleanupSchedule } from './sinks/sqlite/retention-schedule.ts';
import { openStore } from './sinks/sqlite/store.ts';
import { registerProcessMetrics } from './telemetry/process-metrics.ts';
import { systemClock } from './telemetry/system-clock.ts';
import { createTelemetry } from './telemetry/telemetry.ts';

/** A running gateway. */
export interface Gateway {
  readonly host: string;
  readonly port: number;
  readonly protocol: 'http' | 'https';
  readonly dataDirectory: string;
  readonly databasePath: string;
  /** Where Prometheus scrapes, unless `prometheus()` is off. */
  readonly scrapeUrl: string | undefined;
  readonly keys: KeyStore;
  readonly setAside: SetAsideDesk;
  /** Answers what is in flight, delivers what it can, closes. Resolves within the shutdown timeout; never rejects. */
  readonly stop: () => Promise<void>;
}

export interface GatewayOptions {
  readonly log: Log;
  readonly version: string;
  /** Called when all but the listener is up: the port may be somebody's until then. */
  readonly beforeListen?: () => Promise<void>;
}

const STOP_TIMEOUT_MS = 10_000;
const DRAIN_DELAY_MS = 200;
const FLUSH_TIMEOUT_MS = 10_000;

/**
 * Starts everything and resolves once metrics are taken.
 * @throws whatever keeps a part from starting: a port in use, a data directory that another gateway holds
 */
export async function startGateway(pipeline: Pipeline, options: GatewayOptions): Promise<Gateway> {
  const { log, version, beforeListen } = options;
  const databasePath = resolve(pipeline.databasePath ?? './data/metrics.db');
  const dataDirectory = resolve(pipeline.dataDirectory ?? dirname(databasePath));
  /** In the order of opening; closed in the opposite one, from the listener downward. */
  const opened: { readonly part: string; readonly close: (deadline: AbortSignal) => unknown }[] = [];
  const closeAll = async (deadline: AbortSignal): Promise<void> => {
    for (const { part, close } of opened.splice(0).toReversed()) {
      try {
        await close(deadline);
      } catch (error) {
        log.error({ part, err: error }, 'a part did not stop in good order');
      }
    }
  };
  try {
    return await start();
  } catch (error) {
    await closeAll(AbortSignal.abort());
    throw error;
  }

  async function start(): Promise<Gateway> {
    const lock = await lockDirectory(dataDirectory);
    opened.push({ part: 'lock', close: lock.release });

    const clock = systemClock;
    const telemetry = createTelemetry();
    opened.push({ part: 'process metrics', close: registerProcessMetrics(telemetry, { version }) });
    const accounting = createAccounting(telemetry, clock);

    const keys = await openKeyStore({ path: databasePath, log, clock });
    opened.push({ part: 'keys', close: keys.close });
    const store = await openStore(databasePath, { log });
    opened.push({ part: 'store', close: store.close });
    const { retention, history } = store;
    const owed = createOwedWrites({ log, clock });
    opened.push({ part: 'owed writes', close: owed.stop });
    await owed.write('retention', () => retention.applyDefaults(pipeline.retentionDays ?? 90, clock.now()));
    const cleanup = startCleanupSchedule({ retention, log: log.child({ part: 'retention' }), clock });
    opened.push({ part: 'retention', close: cleanup.stop });
    await owed.write("the environment's keys", () => keys.syncEnvironment(pipeline.environmentKeys ?? []));

    const buffer = pipeline.processors.at(-1) as BufferProcessor;
    const journal = await openJournal(buffer.options, dataDirectory, log, telemetry);
    opened.push({ part: 'journal', close: journal.close });
    const idempotency = await openIdempotencyIndex({
      directory: resolve(dataDirectory, 'snapshots'),
      journal,
      clock,
      log,
      telemetry,
      ...buffer.options.idempotency,
    });
    opened.push({ part: 'idempotency', close: idempotency.stop });

    const deliveries = await openDeliveries({
      sinks: sinksOf(pipeline),
      journal,
      dataDirectory,
      clock,
      log,
      telemetry,
      newId: randomUUID,
      ...pipeline.deliveries,
      holders: [{ name: 'idempotency', trimmable: idempotency.trimmable, relieve: idempotency.snapshot }],
    });
    opened.push({ part: 'deliveries', close: deliveries.stop });
    deliveries.start();

    const chain = pipeline.processors as unknown as readonly Processor<unknown, unknown>[];
    const context: Omit<ProcessorContext, 'log'> = {
      clock,
      telemetry,
      keys,
      idempotency,
      keptDays: retention.keptDays,
      append: deliveries.records.append,
      builtInOnly: chain.every((stage) => stage[builtIn] !== undefined),
    };
    for (const stage of chain) {
      await stage.start?.({ ...context, log: log.child({ stage: stage.name }) });
      opened.push({ part: stage.name, close: () => stage.stop?.() });
    }

    let stopping = false;
    const readiness = watchReadiness(journal, deliveries, owed);
    const [authStage, rateLimitStage] = pipeline.processors as unknown as readonly [AuthProcessor, RateLimitProcessor];
    const { records, journalId } = deliveries;
    const dependencies: HttpDependencies = {
      name: 'metrics-collection',
      version,
      log,
      clock,
      run: createRunner(pipeline.processors, { log, idempotency }),
      openTally: accounting.open,
      authenticate: authStage.authenticate,
      keys,
      retention,
      history,
      rateLimitState: rateLimitStage.state,
      readiness: () => readiness(stopping),
      flush: () => deliveries.flush(FLUSH_TIMEOUT_MS),
      tail: (listener) =>
        records.onAppend((record) => listener(deliveredEvents({ ...record, from: 0, to: record.metrics }, journalId))),
    };
    const app = createApp(dependencies, pipeline.server);
    registerInFlight(telemetry, app.inFlight);
    const setAside = setAsideDesk(deliveries);
    const control = await openControl(
      dependencies,
      { store, now: clock.now, setAside },
      join(dataDirectory, 'control.sock'),
    );
    opened.push({ part: 'control', close: () => control?.close() });
    const timeoutMs = pipeline.server?.shutdownTimeoutMs ?? STOP_TIMEOUT_MS;
    await beforeListen?.();
    const listener = await listen(app, pipeline.server);
    opened.push({ part: 'listener', close: () => listener.close(timeoutMs / 2) });
    // Only now: metrics shall not wait for it.
    store.prepareHistory();

    const stopInOrder = async (): Promise<void> => {
      const deadline = AbortSignal.timeout(timeoutMs * 0.9);
      stopping = true;
      // Load balancers see /readyz fail and stop sending, before anybody is turned away.
      await setTimeout(Math.min(pipeline.server?.drainDelayMs ?? DRAIN_DELAY_MS, timeoutMs / 4));
      await closeAll(deadline);
    };
    const stop = async (): Promise<void> => {
      const late = setTimeout(timeoutMs - 100, 'late' as const, { ref: false });
      if ((await Promise.race([stopInOrder(), late])) === 'late')
        log.warn({ timeoutMs }, 'not everything could be closed in time; the journal keeps what is missing');
    };
    let stopped: Promise<void> | undefined;
    return {
      host: listener.host,
      port: listener.port,
      protocol: listener.protocol,
      dataDirectory,
      databasePath,
      scrapeUrl: scrapeUrlOf(pipeline),
      keys,
      setAside,
      stop: () => (stopped ??= stop()),
    };
  }
}

function openJournal(options: BufferOptions, dataDirectory: string, log: Log, telemetry: Telemetry): Promise<Journal> {
  const { durability = 'disk', directory, maxJournalBytes, segmentBytes } = options;
  const maxBytes = maxJournalBytes === undefined ? undefined : { maxBytes: maxJournalBytes };
  if (durability === 'memory') return Promise.resolve(openMemoryJournal(maxBytes));
  return openSegmentedLog({
    directory: resolve(directory ?? join(dataDirectory, 'journal')),
    clock: systemClock,
    log,
    telemetry,
    ...maxBytes,
    ...(segmentBytes === undefined ? undefined : { segmentBytes }),
  });
}

/** The sinks as deliveries see them: all readers of the totals stand behind one. */
function sinksOf(pipeline: Pipeline): readonly Sink[] {
  const enabled = pipeline.sinks.filter((sink) => sink.enabled !== false);
  const isReader = (sink: AnySink): sink is TotalsReader => 'kind' in sink && sink.kind === 'totals-reader';
  const readers = enabled.filter(isReader);
  const [first] = readers;
  const sinks = enabled.filter((sink): sink is Sink => !isReader(sink));
  return first === undefined ? sinks : [...sinks, first.openTotals(readers, pipeline.totals ?? {})];
}

/** Without the socket the gateway still runs; the command line then needs `--url` and a key. */
async function openControl(
  dependencies: HttpDependencies,
  maintenance: MaintenanceDependencies,
  path: string,
): Promise<ControlListener | undefined> {
  try {
    return await listenControl(createControlApp(dependencies, maintenance), path);
  } catch (error) {
    dependencies.log.warn({ err: error, path }, 'no control socket; reach this gateway with --url and an admin key');
    return undefined;
  }
}

function scrapeUrlOf(pipeline: Pipeline): string | undefined {
  for (const { enabled, settings } of pipeline.sinks as readonly Partial<TotalsReader>[]) {
    const { kind, host, port, tls } = (settings ?? {}) as Partial<PrometheusSettings>;
    if (kind === 'prometheus' && enabled !== false)
      return `${tls === undefined ? 'http' : 'https'}://${hostInUrl(host ?? '127.0.0.1')}:${port}/metrics`;
  }
  return undefined;
}

/** How a person on this machine reaches a listener: the wildcard addresses are no addresses. */
export function hostInUrl(host: string): string {
  if (host === '0.0.0.0' || host === '::') return 'localhost';
  return host.includes(':') ? `[${host}]` : host;
}

function setAsideDesk({ all }: Deliveries): SetAsideDesk {
  const deliveryOf = (sink: string): Delivery => {
    const found = all.find((delivery) => delivery.sink.name === sink);
    if (found !== undefined) return found;
    throw new Error(`no sink is named "${sink}"; there are: ${all.map((delivery) => delivery.sink.name).join(', ')}`);
  };
  return {
    list: async (sink) => deliveryOf(sink).setAside.list(),
    redrive: async (sink) => deliveryOf(sink).redrive(),
    sizes: () => new Map(all.map(({ sink, setAside }) => [sink.name, setAside.size()])),
  };
}
