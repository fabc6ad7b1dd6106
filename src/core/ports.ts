/** What parts of the gateway are given rather than import: log, clock, telemetry. */

/** One structured line each: a message and its fields. The log redacts nothing: callers never pass secrets. */
export interface Log {
  readonly debug: (fields: object, message: string) => void;
  readonly info: (fields: object, message: string) => void;
  readonly warn: (fields: object, message: string) => void;
  readonly error: (fields: object, message: string) => void;
  readonly child: (fields: object) => Log;
}

export interface Timer {
  readonly cancel: () => void;
}

/** Time as a port, so that tests can turn the hands. */
export interface Clock {
  /** Wall clock: milliseconds since the Unix epoch. May jump. */
  readonly now: () => number;
  /** Milliseconds from an arbitrary start; never goes back. */
  readonly monotonic: () => number;
  /** Runs `callback` once. The timer does not keep the process alive. */
  readonly after: (delayMs: number, callback: () => void) => Timer;
}

export type Labels = Readonly<Record<string, string>>;

export interface InstrumentDefinition {
  /** Prometheus name with unit and, for a counter, `_total`: `mcp_gateway_journal_bytes`. */
  readonly name: string;
  readonly help: string;
  /** UCUM unit in OpenTelemetry's words: `s`, `By`, `{metric}`. */
  readonly unit?: string;
}

export interface Counter {
  readonly add: (amount?: number, labels?: Labels) => void;
  /** What was counted under these labels, for the books that must balance. */
  readonly value: (labels?: Labels) => number;
}

export interface Histogram {
  readonly record: (value: number, labels?: Labels) => void;
}

/** The gateway's own metrics, served on :9465 beside the emitters'. */
export interface Telemetry {
  readonly counter: (definition: InstrumentDefinition) => Counter;
  /** Read at every scrape. Several series: return pairs of labels and value. */
  readonly gauge: (definition: InstrumentDefinition, read: () => number | Iterable<readonly [Labels, number]>) => void;
  /** A counter whose value another part already keeps; read at every scrape. */
  readonly observedCounter: (
    definition: InstrumentDefinition,
    read: () => number | Iterable<readonly [Labels, number]>,
  ) => void;
  /** @param boundaries upper bucket bounds, ascending, in the unit of the definition */
  readonly histogram: (definition: InstrumentDefinition, boundaries?: readonly number[]) => Histogram;
  /** Everything as it stands at this instant. */
  readonly collect: () => readonly MetricFamily[];
}

/** One metric with all its series: what both the Prometheus text and the OTLP push are made of. */
export interface MetricFamily extends InstrumentDefinition {
  readonly type: 'counter' | 'gauge' | 'histogram';
  readonly series: readonly Series[];
}

export interface Series {
  readonly labels: Labels;
  readonly value: number | HistogramValue;
}

export interface HistogramValue {
  /** Upper bounds, ascending, without +Inf. */
  readonly boundaries: readonly number[];
  /** Observations per bucket, not cumulative; one more than `boundaries`. */
  readonly counts: readonly number[];
  readonly sum: number;
  readonly count: number;
}
