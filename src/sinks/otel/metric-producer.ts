/** The registry as an OpenTelemetry MetricProducer: cumulative, each series with a start time of its own. */
import { ValueType } from '@opentelemetry/api';
import type { Resource } from '@opentelemetry/resources';
import {
  AggregationTemporality,
  DataPointType,
  type MetricData,
  type MetricProducer,
  type ScopeMetrics,
} from '@opentelemetry/sdk-metrics';
import type { InstrumentDefinition } from '../../core/ports.ts';
import type { AttributeSet, TypeState } from './attribute-set.ts';
import { hrTime } from './metric-data.ts';
import type { SeriesRegistry } from './series-registry.ts';

export const SCOPE_NAME = 'mcp-metrics-gateway';

export interface ProducerOptions {
  readonly registry: SeriesRegistry;
  readonly resource: Resource;
  readonly version: string;
  /** Milliseconds since the Unix epoch. */
  readonly now: () => number;
}

/** Collects synchronously within the call: what comes back is one instant, and no longer changes with the registry. */
export function createMetricProducer({ registry, resource, version, now }: ProducerOptions): MetricProducer {
  const scope = { name: SCOPE_NAME, version };
  return {
    collect: () => {
      const endMs = now();
      const metrics: MetricData[] = [];
      for (const type of registry.types.values()) {
        const counter = type.instruments.counter === undefined ? undefined : sum(type, type.instruments.counter, endMs);
        const durations = histogram(type, registry.settings.boundaries, endMs);
        for (const each of [counter, durations])
          if (each !== undefined && each.dataPoints.length > 0) metrics.push(each);
      }
      const scopeMetrics: ScopeMetrics[] = metrics.length === 0 ? [] : [{ scope, metrics }];
      return Promise.resolve({ resourceMetrics: { resource, scopeMetrics }, errors: [] });
    },
  };
}

const descriptor = ({ name, help, unit = '' }: InstrumentDefinition) => ({
  name,
  description: help,
  unit,
  valueType: ValueType.DOUBLE,
});

/** Receive times come from records of an earlier clock: an end before its start would be no interval. */
const times = (startMs: number, endMs: number) => ({
  startTime: hrTime(startMs),
  endTime: hrTime(Math.max(startMs, endMs)),
});

/** The data model's attributes are mutable by type; nobody mutates the registry's frozen ones. */
const attributesOf = (set: AttributeSet): Record<string, string> => set.attributes;

function sum(type: TypeState, definition: InstrumentDefinition, endMs: number): MetricData {
  const dataPoints = [];
  for (const set of type.sets) {
    if (Number.isNaN(set.value)) continue;
    dataPoints.push({ ...times(set.counterStart, endMs), attributes: attributesOf(set), value: set.value });
  }
  return {
    descriptor: descriptor(definition),
    aggregationTemporality: AggregationTemporality.CUMULATIVE,
    dataPointType: DataPointType.SUM,
    isMonotonic: true,
    dataPoints,
  };
}

function histogram(type: TypeState, boundaries: readonly number[], endMs: number): MetricData {
  const bounds = [...boundaries];
  const dataPoints = [];
  for (const set of type.sets) {
    if (set.counts === undefined) continue;
    dataPoints.push({
      ...times(set.histogramStart, endMs),
      attributes: attributesOf(set),
      value: { buckets: { boundaries: bounds, counts: set.counts.slice() }, sum: set.sum, count: set.count },
    });
  }
  return {
    descriptor: descriptor(type.instruments.histogram),
    aggregationTemporality: AggregationTemporality.CUMULATIVE,
    dataPointType: DataPointType.HISTOGRAM,
    dataPoints,
  };
}
