/** The SDK's own way: `counter.add` and `histogram.record` for each event. */
import type { Attributes } from '@opentelemetry/api';
import { AggregationTemporality, MeterProvider, MetricReader } from '@opentelemetry/sdk-metrics';
import type { MetricEvent } from '../../../src/core/metric.ts';
import { DEFAULT_BOUNDARIES, type SeriesSettings } from '../../../src/sinks/otel/instruments.ts';

class Reader extends MetricReader {
  constructor() {
    super({
      aggregationTemporalitySelector: () => AggregationTemporality.CUMULATIVE,
      cardinalitySelector: () => 100_000,
    });
  }
  protected override onForceFlush(): Promise<void> {
    return Promise.resolve();
  }
  protected override onShutdown(): Promise<void> {
    return Promise.resolve();
  }
}

/** What the obvious build does for each event: build the attributes, add, record. */
export function sdkInstruments(settings: SeriesSettings): (service: string, event: MetricEvent) => void {
  const provider = new MeterProvider({ readers: [new Reader()] });
  const meter = provider.getMeter('bench');
  const instruments = new Map(
    settings.instruments.map(({ type, counter, histogram, labels }) => [
      type,
      {
        labels,
        counter: counter === undefined ? undefined : meter.createCounter(counter.name),
        histogram: meter.createHistogram(histogram.name, {
          advice: { explicitBucketBoundaries: [...DEFAULT_BOUNDARIES] },
        }),
      },
    ]),
  );
  return (service, event) => {
    const { labels, counter, histogram } = instruments.get(event.type)!;
    const attributes: Attributes = { service, metric_type: event.type };
    for (const label of labels) {
      const value = event.dimensions[label] ?? event.metadata[label];
      if (typeof value === 'string') attributes[label] = value;
      else if (typeof value === 'boolean' || typeof value === 'number') attributes[label] = String(value);
    }
    counter?.add(event.value, attributes);
    if (counter === undefined) histogram.record(event.value, attributes);
    else if (event.durationMs !== undefined) histogram.record(event.durationMs / 1000, attributes);
  };
}
