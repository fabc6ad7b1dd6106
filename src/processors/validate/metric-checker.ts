/**
 * The plain check of one metric, run for every one: a tenth of what the valibot schema costs, with the same verdict
 * (property tests in tests/processors hold the two together). It only says why not; the schema writes the errors.
 */
import { METRIC_TYPES, type MetricType, type RejectionReason } from '../../core/metric.ts';
import { parseTimestamp } from '../../core/timestamp.ts';
import {
  DIMENSION_KEY,
  fitsJson,
  isRecord,
  type MetricLimits,
  PROTOTYPE_KEY,
  type TimeWindow,
} from './metric-limits.ts';

/** Good dimension names remembered, so that the pattern runs once per name and not once per metric. */
const MAX_KNOWN_KEYS = 1024;

export interface MetricChecker {
  /** What is wrong first, in the order type, timestamp, value, duration, dimensions, metadata, age; undefined if nothing. */
  readonly check: (metric: unknown, window: TimeWindow) => RejectionReason | undefined;
  /** The earliest timestamp among the metrics checked since `reset`, Infinity where none had one. */
  readonly earliest: () => number;
  /**
   * Begins a body.
   * @param escaped false where its JSON text holds no `\u`: UTF-8 cannot hold half of a surrogate pair, only an escape can
   */
  readonly reset: (escaped?: boolean) => void;
}

const TYPES: ReadonlySet<unknown> = new Set(METRIC_TYPES);
const isType = (type: unknown): type is MetricType => TYPES.has(type);

export function createMetricChecker(limits: MetricLimits): MetricChecker {
  const { maxValue, maxDurationMs, maxDimensions, maxDimensionKeyLength, maxDimensionValueLength } = limits;
  const { maxMetadataFields, maxMetadataKeyLength, maxMetadataLength } = limits;
  const knownKeys = new Set<string>();
  let earliest = Number.POSITIVE_INFINITY;
  let mayBeBroken = true;

  const isWellFormed = (text: string): boolean => !mayBeBroken || text.isWellFormed();

  const isDimensionKey = (key: string): boolean => {
    if (knownKeys.has(key)) return true;
    if (key.length > maxDimensionKeyLength || key === PROTOTYPE_KEY || !DIMENSION_KEY.test(key)) return false;
    if (knownKeys.size < MAX_KNOWN_KEYS) knownKeys.add(key);
    return true;
  };

  const areDimensions = (dimensions: unknown): boolean => {
    if (dimensions === undefined || dimensions === null) return true;
    if (!isRecord(dimensions)) return false;
    let count = 0;
    for (const key in dimensions) {
      if (!isDimensionKey(key)) return false;
      const value = dimensions[key];
      if (value === null) continue;
      count += 1;
      if (typeof value === 'string') {
        if (value.length > maxDimensionValueLength || !isWellFormed(value)) return false;
      } else if (typeof value === 'number') {
        if (!Number.isFinite(value)) return false;
      } else if (typeof value !== 'boolean') return false;
    }
    return count <= maxDimensions;
  };

  const isMetadata = (metadata: unknown): boolean => {
    if (metadata === undefined || metadata === null) return true;
    if (!isRecord(metadata)) return false;
    let count = 0;
    for (const key in metadata) {
      count += 1;
      if (key.length > maxMetadataKeyLength || key === PROTOTYPE_KEY || !isWellFormed(key)) return false;
      const value = metadata[key];
      if (typeof value === 'string') {
        if (value.length > maxMetadataLength || !isWellFormed(value)) return false;
      } else if (typeof value === 'number') {
        if (!Number.isFinite(value)) return false;
      } else if (typeof value === 'object' && value !== null && !fitsJson(value, maxMetadataLength)) return false;
    }
    return count <= maxMetadataFields;
  };

  return {
    check: (metric, window) => {
      if (!isRecord(metric)) return 'shape';
      const { type, timestamp, value, duration_ms: duration } = metric;
      if (!isType(type)) return 'type';
      let time = Number.POSITIVE_INFINITY;
      if (timestamp !== undefined && timestamp !== null) {
        if (typeof timestamp !== 'string') return 'timestamp';
        time = parseTimestamp(timestamp);
        if (!(time <= window.latest)) return 'timestamp';
      }
      if (typeof value !== 'number' || !(value >= 0 && value <= maxValue)) return 'value';
      if (duration !== undefined && duration !== null) {
        if (typeof duration !== 'number' || !(duration >= 0 && duration <= maxDurationMs)) return 'duration';
      }
      if (!areDimensions(metric['dimensions'])) return 'dimensions';
      if (!isMetadata(metric['metadata'])) return 'metadata';
      if (time < window.earliest[type]) return 'timestamp';
      if (time < earliest) earliest = time;
      return undefined;
    },
    earliest: () => earliest,
    reset: (escaped = true) => {
      earliest = Number.POSITIVE_INFINITY;
      mayBeBroken = escaped;
    },
  };
}
