/**
 * Between the gateway's families (plain numbers) and OpenTelemetry's metric data, both ways: the totals come out of the
 * registry as metric data for the SDK's readers, the self-metrics go into an OTLP push as such.
 */
import { type HrTime, ValueType } from '@opentelemetry/api';
import { AggregationTemporality, DataPointType, type MetricData } from '@opentelemetry/sdk-metrics';
import type { Labels, MetricFamily, Series } from '../../core/ports.ts';

export const hrTime = (ms: number): HrTime => [Math.floor(ms / 1000), Math.round((ms % 1000) * 1e6)];

/** Cumulative, as everything here. */
export function toMetricData(family: MetricFamily, startMs: number, endMs: number): MetricData {
  const { name, help, unit = '', type } = family;
  const common = {
    descriptor: { name, description: help, unit, valueType: ValueType.DOUBLE },
    aggregationTemporality: AggregationTemporality.CUMULATIVE,
  };
  const times = { startTime: hrTime(startMs), endTime: hrTime(Math.max(startMs, endMs)) };
  if (type === 'histogram') {
    return {
      ...common,
      dataPointType: DataPointType.HISTOGRAM,
      dataPoints: family.series.flatMap(({ labels, value }) =>
        typeof value === 'number'
          ? []
          : [
              {
                ...times,
                attributes: { ...labels },
                value: {
                  buckets: { boundaries: [...value.boundaries], counts: [...value.counts] },
                  sum: value.sum,
                  count: value.count,
                },
              },
            ],
      ),
    };
  }
  const dataPoints = family.series.flatMap(({ labels, value }) =>
    typeof value === 'number' ? [{ ...times, attributes: { ...labels }, value }] : [],
  );
  return type === 'counter'
    ? { ...common, dataPointType: DataPointType.SUM, isMonotonic: true, dataPoints }
    : { ...common, dataPointType: DataPointType.GAUGE, dataPoints };
}

/**
 * The family that Prometheus sees. Attributes are taken as they are, the same objects: the registry's are texts by valid
 * label names, and the label strings are cached by them.
 */
export function toFamily(data: MetricData): MetricFamily | undefined {
  const { name, description: help, unit } = data.descriptor;
  const definition = { name, help, unit };
  switch (data.dataPointType) {
    case DataPointType.SUM:
      return { ...definition, type: data.isMonotonic ? 'counter' : 'gauge', series: data.dataPoints.map(toSeries) };
    case DataPointType.GAUGE:
      return { ...definition, type: 'gauge', series: data.dataPoints.map(toSeries) };
    case DataPointType.HISTOGRAM:
      return {
        ...definition,
        type: 'histogram',
        series: data.dataPoints.map(({ attributes, value: { buckets, sum = 0, count } }) => ({
          labels: attributes as Labels,
          value: { boundaries: buckets.boundaries, counts: buckets.counts, sum, count },
        })),
      };
    default:
      return undefined;
  }
}

const toSeries = (point: { readonly attributes: unknown; readonly value: number }): Series => ({
  labels: point.attributes as Labels,
  value: point.value,
});
