/** The plain check of the body around the metrics, with the verdict of the schema in metric-schema.ts. */
import type { JsonBody } from '../../core/json-events.ts';
import { INSTANCE_ID, isRecord, type MetricLimits, SERVICE } from './metric-limits.ts';

export function isBody(body: unknown, limits: MetricLimits): body is JsonBody {
  if (!isRecord(body)) return false;
  const { service, version, instance_id: instanceId, metrics } = body;
  return (
    isName(service, SERVICE, limits.maxServiceLength) &&
    (version === undefined ||
      version === null ||
      (typeof version === 'string' && version.length <= limits.maxVersionLength && version.isWellFormed())) &&
    (instanceId === undefined || instanceId === null || isName(instanceId, INSTANCE_ID, limits.maxInstanceIdLength)) &&
    Array.isArray(metrics) &&
    metrics.length >= 1 &&
    metrics.length <= limits.maxMetrics
  );
}

const isName = (value: unknown, pattern: RegExp, maxLength: number): boolean =>
  typeof value === 'string' && value.length <= maxLength && pattern.test(value);
