/** An OpenTelemetry metric reader that collects when asked, cumulatively; both scrapes and pushes read through one. */
import { AggregationTemporality, type MetricProducer, MetricReader } from '@opentelemetry/sdk-metrics';

/**
 * The SDK's own readers bring what does not fit here: its Prometheus exporter a serialiser that blocks for seconds at
 * thousands of histograms, its periodic reader a forceFlush() that resolves whatever the collector answered.
 */
export class CumulativeReader extends MetricReader {
  constructor(producer: MetricProducer) {
    super({ aggregationTemporalitySelector: () => AggregationTemporality.CUMULATIVE });
    this.setMetricProducer(producer);
  }

  protected override onForceFlush(): Promise<void> {
    return Promise.resolve();
  }

  protected override onShutdown(): Promise<void> {
    return Promise.resolve();
  }
}
