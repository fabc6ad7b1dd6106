/**
 * The schema of record of what `POST /metrics` takes. It writes the errors of metrics that the plain check turned away,
 * and the OpenAPI document is made from it.
 */
import * as v from 'valibot';
import { METRIC_TYPES } from '../../core/metric.ts';
import { parseTimestamp } from '../../core/timestamp.ts';
import {
  DIMENSION_KEY,
  fitsJson,
  INSTANCE_ID,
  isRecord,
  type MetricLimits,
  PROTOTYPE_KEY,
  SERVICE,
  type TimeWindow,
} from './metric-limits.ts';

const wellFormed = v.check<string, string>((text) => text.isWellFormed(), 'must not hold half of a surrogate pair');

/** What a check of our own stands for in a JSON Schema, since that cannot be read from a function. */
export interface Documented {
  readonly documents:
    | { readonly type: 'object' }
    | { readonly type: 'array'; readonly items: v.GenericSchema }
    | {
        readonly type: 'entries';
        readonly key: v.GenericSchema<unknown, unknown>;
        readonly value: v.GenericSchema<unknown, unknown>;
        readonly max: number;
      };
}

const documented = <Item>(item: Item, documents: Documented['documents']): Item & Documented =>
  Object.assign(item as Item & object, { documents });

const objectSchema = (message: string) =>
  documented(v.custom<Readonly<Record<string, unknown>>>(isRecord, message), { type: 'object' });
const anObject = objectSchema('must be an object');

/** Issues of an object's entries, each at its own key. */
const entries = (
  max: number,
  counted: (value: unknown) => boolean,
  key: v.GenericSchema<unknown, unknown>,
  value: v.GenericSchema<unknown, unknown>,
) => {
  const check = v.rawCheck<Readonly<Record<string, unknown>>>(({ dataset, addIssue }) => {
    if (!dataset.typed) return;
    let count = 0;
    for (const [name, entry] of Object.entries(dataset.value)) {
      if (counted(entry)) count += 1;
      const issues = [...(v.safeParse(key, name).issues ?? []), ...(v.safeParse(value, entry).issues ?? [])];
      for (const issue of issues) {
        addIssue({
          message: issue.message,
          path: [{ type: 'object', origin: 'value', input: dataset.value, key: name, value: entry }],
        });
      }
    }
    if (count > max) addIssue({ message: `must hold at most ${max} entries; got ${count}` });
  });
  return documented(check, { type: 'entries', key, value, max });
};

/** @param window when a timestamp is right; read at each parse, so that the caller may move it */
export function createMetricSchema(limits: MetricLimits, window: TimeWindow) {
  const timestamp = v.pipe(
    v.string('must be text, an ISO 8601 date and time'),
    v.rawCheck(({ dataset, addIssue }) => {
      if (!dataset.typed) return;
      const time = parseTimestamp(dataset.value);
      if (Number.isNaN(time)) addIssue({ message: 'must be an ISO 8601 date and time such as 2026-01-01T12:00:00Z' });
      else if (time > window.latest) {
        addIssue({ message: `must not lie after ${isoOf(window.latest)}: check the clock` });
      }
    }),
    v.metadata({ format: 'date-time' }),
  );
  const dimensionKey = v.pipe(
    v.string(),
    v.maxLength(limits.maxDimensionKeyLength, `name must have at most ${limits.maxDimensionKeyLength} characters`),
    v.regex(DIMENSION_KEY, `name must match ${DIMENSION_KEY.source}`),
    v.notValue(PROTOTYPE_KEY, 'name is reserved'),
  );
  const dimensionValue = v.nullable(
    v.union(
      [
        v.pipe(
          v.string(),
          v.maxLength(limits.maxDimensionValueLength, `must have at most ${limits.maxDimensionValueLength} characters`),
          wellFormed,
        ),
        v.pipe(v.number(), v.finite('must be finite')),
        v.boolean(),
      ],
      unionMessage('must be text, a number, a boolean or null'),
    ),
  );
  const metadataKey = v.pipe(
    v.string(),
    v.maxLength(limits.maxMetadataKeyLength, `name must have at most ${limits.maxMetadataKeyLength} characters`),
    v.notValue(PROTOTYPE_KEY, 'name is reserved'),
    v.check((name) => name.isWellFormed(), 'name must not hold half of a surrogate pair'),
  );
  const metadataValue = v.pipe(
    v.unknown(),
    v.check((value) => typeof value !== 'number' || Number.isFinite(value), 'must be finite'),
    v.check((value) => typeof value !== 'string' || value.isWellFormed(), 'must not hold half of a surrogate pair'),
    v.check(
      (value) => fitsJson(value, limits.maxMetadataLength),
      `must have at most ${limits.maxMetadataLength} characters as JSON`,
    ),
  );
  return v.pipe(
    anObject,
    v.object({
      type: v.picklist(METRIC_TYPES, `must be one of ${METRIC_TYPES.join(', ')}`),
      timestamp: v.nullish(timestamp),
      value: v.pipe(
        v.number('must be a number'),
        v.finite('must be finite'),
        v.minValue(0, 'must not be negative: it feeds a counter or a histogram'),
        v.maxValue(limits.maxValue, `must be at most ${limits.maxValue}`),
      ),
      duration_ms: v.nullish(
        v.pipe(
          v.number('must be a number of milliseconds'),
          v.finite('must be finite'),
          v.minValue(0, 'must not be negative'),
          v.maxValue(limits.maxDurationMs, `must be at most ${limits.maxDurationMs} milliseconds`),
        ),
      ),
      dimensions: v.nullish(
        v.pipe(
          anObject,
          entries(limits.maxDimensions, (value) => value !== null, dimensionKey, dimensionValue),
        ),
      ),
      metadata: v.nullish(
        v.pipe(
          anObject,
          entries(limits.maxMetadataFields, () => true, metadataKey, metadataValue),
        ),
      ),
    }),
    v.rawCheck(({ dataset, addIssue }) => {
      if (!dataset.typed || typeof dataset.value.timestamp !== 'string') return;
      const { type, timestamp: text } = dataset.value;
      const earliest = window.earliest[type];
      if (!(parseTimestamp(text) < earliest)) return;
      addIssue({
        message: `must not lie before ${isoOf(earliest)}: ${type} is not kept for longer`,
        path: [{ type: 'object', origin: 'value', input: dataset.value, key: 'timestamp', value: text }],
      });
    }),
  );
}

/**
 * The body around the metrics; these are turned away one by one, so their own schema is not checked with it.
 * @param metric what the documents say of them
 */
export function createBodySchema(limits: MetricLimits, metric: v.GenericSchema = v.unknown()) {
  return v.pipe(
    objectSchema('must be an object { service, metrics }'),
    v.object({
      service: v.pipe(
        v.string('must be text'),
        v.minLength(1, 'must not be empty'),
        v.maxLength(limits.maxServiceLength, `must have at most ${limits.maxServiceLength} characters`),
        v.regex(SERVICE, `must match ${SERVICE.source}`),
      ),
      version: v.nullish(
        v.pipe(
          v.string('must be text'),
          v.maxLength(limits.maxVersionLength, `must have at most ${limits.maxVersionLength} characters`),
          wellFormed,
        ),
      ),
      instance_id: v.nullish(
        v.pipe(
          v.string('must be text'),
          v.minLength(1, 'must not be empty'),
          v.maxLength(limits.maxInstanceIdLength, `must have at most ${limits.maxInstanceIdLength} characters`),
          v.regex(INSTANCE_ID, `must match ${INSTANCE_ID.source}`),
        ),
      ),
      metrics: v.pipe(
        documented(v.custom<readonly unknown[]>(Array.isArray, 'must be an array'), { type: 'array', items: metric }),
        v.minLength(1, 'must hold at least one metric'),
        v.maxLength(
          limits.maxMetrics,
          `must hold at most ${limits.maxMetrics} metrics; send the rest in another request`,
        ),
      ),
    }),
  );
}

/** A union's own words where no branch fits by type, else those of the branch that did. */
const unionMessage =
  (message: string) =>
  (issue: v.UnionIssue<v.BaseIssue<unknown>>): string =>
    issue.issues?.find((inner) => inner.kind === 'validation')?.message ?? message;

const isoOf = (time: number): string =>
  Number.isFinite(time) && Math.abs(time) <= 8.64e15 ? new Date(time).toISOString() : 'the start of time';
