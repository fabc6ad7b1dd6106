/** The instruments that events feed: one counter and one histogram per metric type, and the labels of their series. */
import { METRIC_TYPES, type MetricType } from '../../core/metric.ts';
import type { InstrumentDefinition } from '../../core/ports.ts';
import type { TotalsOptions } from '../../core/totals.ts';

/** Seconds; the histograms' upper bounds where nothing else is configured. */
export const DEFAULT_BOUNDARIES: readonly number[] = [
  0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300,
];

/** What one metric type feeds. Both instruments carry the same labels. */
export interface TypeInstruments {
  readonly type: MetricType;
  /** Adds `value`; protocol latency has none, its `value` being the latency. */
  readonly counter: InstrumentDefinition | undefined;
  /** Records `duration_ms` / 1000, protocol latency `value`. */
  readonly histogram: InstrumentDefinition;
  /**
   * Labels beside `service` and `metric_type`, each the dimension of that name, else the metadata field. Those of few
   * values come first: series then share most steps of the way to them (attribute-set.ts).
   */
  readonly labels: readonly string[];
}

const counter = (name: string, help: string): InstrumentDefinition => ({ name, help, unit: '{event}' });
const seconds = (name: string, help: string): InstrumentDefinition => ({ name, help, unit: 's' });

/**
 * User hashes, session keys, free text and numbers (`query`, `results_count`) are no labels: they would make a series
 * each. They stay in SQLite.
 */
const INSTRUMENTS: Readonly<Record<MetricType, Omit<TypeInstruments, 'type'>>> = {
  auth_request: {
    counter: counter('mcp_auth_requests_total', 'Authentication requests that services reported.'),
    histogram: seconds('mcp_auth_request_duration_seconds', 'Duration of authentication requests.'),
    labels: ['success', 'error_code', 'method', 'server'],
  },
  tool_execution: {
    counter: counter('mcp_tool_executions_total', 'Tool executions that services reported.'),
    histogram: seconds('mcp_tool_execution_duration_seconds', 'Duration of tool executions.'),
    labels: ['success', 'error_code', 'method', 'client_name', 'server_name', 'tool_name'],
  },
  tool_discovery: {
    counter: counter('mcp_tool_discovery_total', 'Tool discovery queries that services reported.'),
    histogram: seconds('mcp_tool_discovery_duration_seconds', 'Duration of tool discovery queries.'),
    labels: [],
  },
  protocol_latency: {
    counter: undefined,
    histogram: seconds('mcp_protocol_latency_seconds', 'Time between the steps of the protocol flow.'),
    labels: ['flow_step', 'server_name'],
  },
  registry_operation: {
    counter: counter('mcp_registry_operations_total', 'Registry operations that services reported.'),
    histogram: seconds('mcp_registry_operation_duration_seconds', 'Duration of registry operations.'),
    labels: ['success', 'resource_type', 'operation'],
  },
  health_check: {
    counter: counter('mcp_health_checks_total', 'Health checks that services reported.'),
    histogram: seconds('mcp_health_check_duration_seconds', 'Duration of health checks.'),
    labels: ['healthy', 'status_code', 'endpoint'],
  },
  custom: {
    counter: counter('mcp_custom_total', 'Custom metrics that services reported, by metric_name.'),
    histogram: seconds('mcp_custom_duration_seconds', 'Duration of what custom metrics report, by metric_name.'),
    labels: ['metric_name'],
  },
};

/** `le` and `quantile` mean something to Prometheus; the other two are on every series anyway. */
const RESERVED_LABELS: ReadonlySet<string> = new Set(['service', 'metric_type', 'le', 'quantile']);
/** Prometheus data model; names that begin with two underscores are its own. */
const LABEL_NAME = /^(?!__)[A-Za-z_][A-Za-z0-9_]*$/;

/** Everything that shapes the series, with no option left open. */
export interface SeriesSettings {
  readonly instruments: readonly TypeInstruments[];
  readonly boundaries: readonly number[];
  readonly maxSeries: number;
  readonly maxLabelValues: number;
  readonly maxLabelLength: number;
  readonly expireAfterMs: number | undefined;
}

/** @throws TypeError naming the option, its value and what was expected */
export function resolveSeriesSettings(options: TotalsOptions = {}): SeriesSettings {
  const { histogramBoundaries: boundaries = DEFAULT_BOUNDARIES, labels = {}, expireAfterMs } = options;
  if (boundaries.length === 0 || boundaries.length > 200 || !boundaries.every(ascending)) {
    throw new TypeError(
      `totals.histogramBoundaries: expected 1 to 200 finite, ascending numbers of seconds; got ${JSON.stringify(boundaries)}`,
    );
  }
  for (const [type, names] of Object.entries(labels)) {
    if (!(METRIC_TYPES as readonly string[]).includes(type)) {
      throw new TypeError(
        `totals.labels: ${JSON.stringify(type)} is no metric type; the types are ${METRIC_TYPES.join(', ')}`,
      );
    }
    checkLabels(type, names);
  }
  return {
    instruments: METRIC_TYPES.map((type) => ({
      type,
      ...INSTRUMENTS[type],
      labels: labels[type] ?? INSTRUMENTS[type].labels,
    })),
    boundaries: [...boundaries],
    maxSeries: positive('maxSeries', options.maxSeries, 50_000),
    maxLabelValues: positive('maxLabelValues', options.maxLabelValues, 150),
    maxLabelLength: positive('maxLabelLength', options.maxLabelLength, 96),
    expireAfterMs: expireAfterMs === undefined ? undefined : positive('expireAfterMs', expireAfterMs, 0),
  };
}

const ascending = (bound: number, index: number, all: readonly number[]): boolean =>
  Number.isFinite(bound) && (index === 0 || bound > all[index - 1]!);

function positive(name: string, value: number | undefined, fallback: number): number {
  if (value === undefined) return fallback;
  if (!Number.isSafeInteger(value) || value < 1)
    throw new TypeError(`totals.${name}: expected a whole number from 1; got ${value}`);
  return value;
}

function checkLabels(type: string, names: readonly string[]): void {
  for (const name of names) {
    if (!LABEL_NAME.test(name) || RESERVED_LABELS.has(name)) {
      throw new TypeError(
        `totals.labels.${type}: ${JSON.stringify(name)} cannot be a label; expected ${LABEL_NAME}, and none of ${[...RESERVED_LABELS].join(', ')}`,
      );
    }
  }
  if (new Set(names).size !== names.length)
    throw new TypeError(`totals.labels.${type}: a label stands twice in ${names.join(', ')}`);
}
