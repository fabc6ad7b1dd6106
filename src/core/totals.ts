/** Totals: one series registry for all readers of it, fed by one delivery. */
import type { Sink, TotalsReader } from './sink.ts';
import type { MetricType } from './metric.ts';

/** Everything that shapes the series, whichever reader shows them. */
export interface TotalsOptions {
  /** Upper bucket bounds of the duration histograms, in seconds, ascending. */
  readonly histogramBoundaries?: readonly number[] | undefined;
  /** Series held at most, over all instruments (default 50,000); at the limit the least recently received goes. */
  readonly maxSeries?: number;
  /** Distinct values per label at most (default 150); what comes later counts as `_other`. */
  readonly maxLabelValues?: number;
  /** Characters of a label value at most (default 96); longer ones count as `_other`. */
  readonly maxLabelLength?: number;
  /** A series that received nothing for so long goes. Default: never. */
  readonly expireAfterMs?: number;
  /** Labels per type instead of the defaults, beside `service` and `metric_type`. */
  readonly labels?: Partial<Readonly<Record<MetricType, readonly string[]>>>;
  /** OpenTelemetry resource attributes of the gateway itself. */
  readonly resource?: Readonly<Record<string, string>>;
}

/** The sink behind the totals, with what each reader has shown. */
export interface Totals extends Sink {
  /** Makes the state durable now. */
  readonly snapshot: () => Promise<void>;
  /** Readers by name, with the running metric count that each has delivered. */
  readonly delivered: () => ReadonlyMap<string, number>;
}

export type TotalsFactory = (readers: readonly TotalsReader[], options: TotalsOptions) => Totals;
