/** The limits of what a body and its metrics may hold, with their defaults: options of `validate()`. */
import { METRIC_TYPES, type MetricType } from '../../core/metric.ts';

export interface MetricLimits {
  /** Metrics in one request. Default 5,000. */
  readonly maxMetrics: number;
  /** Characters of `service`. Default 100. */
  readonly maxServiceLength: number;
  /** Characters of `version`. Default 50. */
  readonly maxVersionLength: number;
  /** Characters of `instance_id`. Default 100. */
  readonly maxInstanceIdLength: number;
  /** Largest magnitude of `value`. Default 1e12. */
  readonly maxValue: number;
  /** Largest `duration_ms`. Default 86,400,000: a day. */
  readonly maxDurationMs: number;
  /** Dimensions of one metric, `null` ones not counted. Default 20. */
  readonly maxDimensions: number;
  /** Characters of a dimension's name. Default 50. */
  readonly maxDimensionKeyLength: number;
  /** Characters of a dimension's text value. Default 200. */
  readonly maxDimensionValueLength: number;
  /** Metadata fields of one metric. Default 30. */
  readonly maxMetadataFields: number;
  /** Characters of a metadata field's name. Default 200. */
  readonly maxMetadataKeyLength: number;
  /** Characters of a metadata value: of a text itself, else of its JSON. Default 1,000. */
  readonly maxMetadataLength: number;
}

export const DEFAULT_LIMITS: MetricLimits = {
  maxMetrics: 5000,
  maxServiceLength: 100,
  maxVersionLength: 50,
  maxInstanceIdLength: 100,
  maxValue: 1e12,
  maxDurationMs: 86_400_000,
  maxDimensions: 20,
  maxDimensionKeyLength: 50,
  maxDimensionValueLength: 200,
  maxMetadataFields: 30,
  maxMetadataKeyLength: 200,
  maxMetadataLength: 1000,
};

/** Timestamps that are taken, milliseconds since the Unix epoch, both ends included. */
export interface TimeWindow {
  /** By type, since types may be kept for different times. */
  readonly earliest: Record<MetricType, number>;
  latest: number;
}

/** @param daysOf how far back the metrics of a type are taken */
export function moveWindow(window: TimeWindow, receivedAt: number, maxFutureMs: number, daysOf: DaysOf): void {
  window.latest = receivedAt + maxFutureMs;
  for (const type of METRIC_TYPES) window.earliest[type] = receivedAt - daysOf(type) * DAY_MS;
}

export type DaysOf = (type: MetricType) => number;

export const newWindow = (): TimeWindow => ({
  earliest: {
    auth_request: 0,
    tool_execution: 0,
    tool_discovery: 0,
    protocol_latency: 0,
    registry_operation: 0,
    health_check: 0,
    custom: 0,
  },
  latest: 0,
});

export const DAY_MS = 86_400_000;

export const SERVICE = /^[A-Za-z0-9_-]+$/;
export const INSTANCE_ID = /^[A-Za-z0-9_.-]+$/;
export const DIMENSION_KEY = /^[A-Za-z_][A-Za-z0-9_]*$/;
/** Semantic Versioning 2.0.0, with or without a leading v. */
export const SEMANTIC_VERSION =
  /^v?(?:0|[1-9]\d*)\.(?:0|[1-9]\d*)\.(?:0|[1-9]\d*)(?:-[0-9A-Za-z-]+(?:\.[0-9A-Za-z-]+)*)?(?:\+[0-9A-Za-z-]+(?:\.[0-9A-Za-z-]+)*)?$/;

/** The name that would change a copied object's prototype instead of naming a member. */
export const PROTOTYPE_KEY = '__proto__';

export const isRecord = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/**
 * Whether a value's JSON has at most so many characters. Stops at the limit, so that a value of a million nested
 * arrays costs no more than the limit and cannot overflow the stack.
 */
export function fitsJson(value: unknown, maxLength: number): boolean {
  if (typeof value === 'string') return value.length <= maxLength;
  return remaining(value, maxLength) >= 0;
}

/** `left` less the length of the value's JSON; negative as soon as that is certain. */
function remaining(value: unknown, left: number): number {
  if (left < 0) return left;
  switch (typeof value) {
    case 'string':
      return value.length + 2 > left ? -1 : left - JSON.stringify(value).length;
    case 'number':
      return left - (Number.isFinite(value) ? String(value).length : 4);
    case 'boolean':
      return left - (value ? 4 : 5);
    default:
  }
  if (typeof value !== 'object' || value === null) return left - 4;
  left -= 2;
  if (Array.isArray(value)) {
    for (let index = 0; index < value.length && left >= 0; index += 1) {
      left = remaining(value[index], index === 0 ? left : left - 1);
    }
    return left;
  }
  let first = true;
  for (const key in value) {
    if (left < 0) return left;
    left = remaining(key, first ? left : left - 1) - 1;
    left = remaining((value as Record<string, unknown>)[key], left);
    first = false;
  }
  return left;
}
