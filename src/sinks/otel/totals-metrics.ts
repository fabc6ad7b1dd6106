/** The gateway's own metrics about the totals: series, what was bounded, scrapes, pushes, snapshots. */
import type { Labels, Telemetry } from '../../core/ports.ts';
import type { RegistryStatistics } from './series-registry.ts';
import type { TotalsThread } from './totals-thread.ts';

export interface TotalsBooks {
  readonly statistics: () => RegistryStatistics;
  /** The thread's latest figures. */
  readonly note: (statistics: RegistryStatistics) => void;
  /** The thread was lost: its successor counts from zero, what is shown goes on. */
  readonly restarted: () => void;
  readonly exported: (reader: string, failure: string | undefined) => void;
  readonly scraped: (durationMs: number, status: number) => void;
}

export interface TotalsMetricsOptions {
  readonly thread: () => TotalsThread | undefined;
  /** Readers with the running metric count that each has shown. */
  readonly delivered: ReadonlyMap<string, number>;
}

const NOTHING: RegistryStatistics = { series: 0, evicted: 0, expired: 0, ignored: 0, overflow: {} };

export function registerTotalsMetrics(telemetry: Telemetry, options: TotalsMetricsOptions): TotalsBooks {
  const { thread, delivered } = options;
  let carried = NOTHING;
  let latest = NOTHING;

  telemetry.gauge(
    { name: 'mcp_gateway_series', help: 'Series held: counters and histograms by attribute set.', unit: '{series}' },
    () => latest.series,
  );
  telemetry.observedCounter(
    {
      name: 'mcp_gateway_series_evicted_total',
      help: 'Series that went at the series limit, least recently received first.',
      unit: '{series}',
    },
    () => carried.evicted + latest.evicted,
  );
  telemetry.observedCounter(
    { name: 'mcp_gateway_series_expired_total', help: 'Series that went by age.', unit: '{series}' },
    () => carried.expired + latest.expired,
  );
  telemetry.observedCounter(
    {
      name: 'mcp_gateway_label_overflow_total',
      help: 'Events whose label value counted as _other: too long, or beyond the number of values per label.',
      unit: '{event}',
    },
    () =>
      Object.entries(add(carried.overflow, latest.overflow)).map(([label, count]): readonly [Labels, number] => [
        { label },
        count,
      ]),
  );
  telemetry.observedCounter(
    {
      name: 'mcp_gateway_totals_ignored_total',
      help: 'Events that feed no total since their numbers are negative or not finite.',
      unit: '{event}',
    },
    () => carried.ignored + latest.ignored,
  );
  telemetry.observedCounter(
    { name: 'mcp_gateway_totals_restarts_total', help: 'Threads of the totals that were lost.', unit: '{thread}' },
    () => thread()?.restarts() ?? 0,
  );
  telemetry.gauge(
    {
      name: 'mcp_gateway_totals_snapshot_failures',
      help: 'Snapshots of the totals that could not be written since their thread began.',
      unit: '{snapshot}',
    },
    () => thread()?.snapshots().failures ?? 0,
  );
  telemetry.gauge(
    {
      name: 'mcp_gateway_reader_delivered',
      help: 'Running metric count of the journal that a reader of the totals has shown: served, or taken by the collector.',
      unit: '{metric}',
    },
    () => Array.from(delivered, ([reader, count]): readonly [Labels, number] => [{ reader }, count]),
  );
  const exports = telemetry.counter({
    name: 'mcp_gateway_otlp_exports_total',
    help: 'OTLP exports by outcome.',
    unit: '{export}',
  });
  const scrapes = telemetry.counter({
    name: 'mcp_gateway_scrapes_total',
    help: 'Scrapes answered, by HTTP status.',
    unit: '{scrape}',
  });
  const scrapeDuration = telemetry.histogram({
    name: 'mcp_gateway_scrape_duration_seconds',
    help: 'From a scrape to the last byte of its answer.',
    unit: 's',
  });
  return {
    statistics: () => latest,
    note: (statistics) => {
      latest = statistics;
    },
    restarted: () => {
      carried = {
        series: 0,
        evicted: carried.evicted + latest.evicted,
        expired: carried.expired + latest.expired,
        ignored: carried.ignored + latest.ignored,
        overflow: add(carried.overflow, latest.overflow),
      };
      latest = { ...NOTHING, series: latest.series };
    },
    exported: (reader, failure) => exports.add(1, { reader, outcome: failure === undefined ? 'ok' : 'failed' }),
    scraped: (durationMs, status) => {
      scrapes.add(1, { code: String(status) });
      if (status === 200) scrapeDuration.record(durationMs / 1000);
    },
  };
}

type Overflow = RegistryStatistics['overflow'];

const add = (a: Overflow, b: Overflow): Overflow => {
  const sum: Record<string, number> = { ...a };
  for (const [label, count] of Object.entries(b)) sum[label] = (sum[label] ?? 0) + count;
  return sum;
};
