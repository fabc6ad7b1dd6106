/** Cuts metric data into parts of at most so many data points, so that no request outgrows what a collector takes. */
import type { MetricData, ResourceMetrics, ScopeMetrics } from '@opentelemetry/sdk-metrics';

/** Every part carries the resource and, of its metrics, descriptor and scope; no data point is in two parts. */
export function* splitMetrics(whole: ResourceMetrics, maxPoints: number): Generator<ResourceMetrics> {
  let scopes: ScopeMetrics[] = [];
  let room = maxPoints;
  for (const { scope, metrics } of whole.scopeMetrics) {
    let open: MetricData[] | undefined;
    for (const metric of metrics) {
      for (let at = 0; at < metric.dataPoints.length;) {
        const points = metric.dataPoints.slice(at, at + room);
        if (open === undefined) {
          open = [];
          scopes.push({ scope, metrics: open });
        }
        open.push({ ...metric, dataPoints: points } as MetricData);
        at += points.length;
        room -= points.length;
        if (room === 0) {
          yield { resource: whole.resource, scopeMetrics: scopes };
          scopes = [];
          open = undefined;
          room = maxPoints;
        }
      }
    }
  }
  if (scopes.length > 0) yield { resource: whole.resource, scopeMetrics: scopes };
}
