/** The one reading of the JSON format: a checked item of a request's `metrics` array becomes a metric event. */
import type { DimensionValue, Json, MetricEvent, MetricType } from './metric.ts';
import { parseTimestamp } from './timestamp.ts';

/** An item of `metrics` that passed validation. Unknown further fields may be there; nothing reads them. */
export interface JsonMetric {
  readonly type: MetricType;
  readonly value: number;
  readonly timestamp?: string | null;
  readonly duration_ms?: number | null;
  readonly dimensions?: Readonly<Record<string, DimensionValue | null>> | null;
  readonly metadata?: Readonly<Record<string, Json>> | null;
}

/** The body of `POST /metrics`. */
export interface JsonBody {
  readonly service: string;
  readonly version?: string | null;
  readonly instance_id?: string | null;
  readonly metrics: readonly unknown[];
}

const NONE = Object.freeze({});

/** Texts that emitters send for booleans: Python's `str(True)` among them. */
const BOOLEAN_TEXTS: ReadonlyMap<string, boolean> = new Map([
  ['true', true],
  ['True', true],
  ['TRUE', true],
  ['false', false],
  ['False', false],
  ['FALSE', false],
]);

/** `null` means absent, and `success` (`healthy` likewise) as text becomes the boolean it stands for. */
function readDimensions(
  raw: Readonly<Record<string, DimensionValue | null>>,
): Readonly<Record<string, DimensionValue>> {
  let clean = true;
  for (const key in raw) {
    const value = raw[key];
    if (value === null || (typeof value === 'string' && (key === 'success' || key === 'healthy'))) {
      clean = false;
      break;
    }
  }
  if (clean) return raw as Readonly<Record<string, DimensionValue>>;
  const dimensions: Record<string, DimensionValue> = {};
  for (const key in raw) {
    const value = raw[key];
    if (value === null || value === undefined) continue;
    const read =
      typeof value === 'string' && (key === 'success' || key === 'healthy')
        ? (BOOLEAN_TEXTS.get(value) ?? value)
        : value;
    // A plain assignment to this name would set the object's prototype instead.
    if (key === '__proto__') {
      Object.defineProperty(dimensions, key, { value: read, enumerable: true, configurable: true, writable: true });
    } else dimensions[key] = read;
  }
  return dimensions;
}

/**
 * Turns a checked item into an event. The same item and receive time always give the same event: the journal holds the
 * request's own bytes and every reader of it, in whatever thread or process, comes here.
 * @param receivedAt the timestamp of an item that has none, milliseconds since the Unix epoch
 */
export function readJsonMetric(raw: JsonMetric, receivedAt: number): MetricEvent {
  const { timestamp, duration_ms: durationMs, dimensions, metadata } = raw;
  return {
    type: raw.type,
    timestamp: typeof timestamp === 'string' ? parseTimestamp(timestamp) : receivedAt,
    value: raw.value,
    ...(durationMs === undefined || durationMs === null ? undefined : { durationMs }),
    dimensions: dimensions === undefined || dimensions === null ? NONE : readDimensions(dimensions),
    metadata: metadata === undefined || metadata === null ? NONE : metadata,
  };
}
