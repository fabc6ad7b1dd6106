/** The totals as the text of `/metrics`, in pieces that can be handed to another thread. */
import type { ResourceMetrics } from '@opentelemetry/sdk-metrics';
import type { MetricFamily } from '../../core/ports.ts';
import { type ExpositionFormat, writeExposition } from './exposition.ts';
import { toFamily } from './metric-data.ts';

const encoder = new TextEncoder();

/** `target_info` first, as OpenTelemetry's Prometheus compatibility has it, then every instrument with series. */
export function* scrapePieces(metrics: ResourceMetrics, format: ExpositionFormat): Generator<Uint8Array<ArrayBuffer>> {
  for (const piece of writeExposition(families(metrics), format)) yield encoder.encode(piece);
}

function* families({ resource, scopeMetrics }: ResourceMetrics): Generator<MetricFamily> {
  const labels = Object.fromEntries(Object.entries(resource.attributes).map(([name, value]) => [name, String(value)]));
  yield { name: 'target_info', help: 'Target metadata', type: 'gauge', series: [{ labels, value: 1 }] };
  for (const { metrics } of scopeMetrics) {
    for (const metric of metrics) {
      const family = toFamily(metric);
      if (family !== undefined) yield family;
    }
  }
}
