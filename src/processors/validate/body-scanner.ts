/**
 * Takes a body in by one pass over its bytes. Most bodies are plain, and on this thread nobody looks at their metrics: the
 * pass takes some half of what `JSON.parse` and the checks take, and leaves nothing to collect.
 *
 * It is sure or silent. What it takes in would be taken whole, and without a warning, by `parseJson`, body-checker.ts and
 * metric-checker.ts (property tests in tests/processors hold them together). Everything else is left to them: what is wrong,
 * and what is only unusual, such as a member it does not know, an exponent, or objects within metadata.
 */
import { isAscii, isUtf8 } from 'node:buffer';
import { METRIC_TYPES, type MetricType } from '../../core/metric.ts';
import {
  INSTANCE_ID,
  type MetricLimits,
  PROTOTYPE_KEY,
  SEMANTIC_VERSION,
  SERVICE,
  type TimeWindow,
} from './metric-limits.ts';
import * as json from './plain-json.ts';

/** What the gateway has to know of a body whose metrics it takes all. */
export interface PlainBody {
  readonly service: string;
  readonly version: string | undefined;
  readonly instanceId: string | undefined;
  readonly metrics: number;
}

export interface BodyScanner {
  /**
   * @param warnBefore milliseconds since the Unix epoch: of older metrics the client is warned
   * @returns undefined where it takes a closer look
   */
  readonly scan: (bytes: Uint8Array, window: TimeWindow, warnBefore: number) => PlainBody | undefined;
}

const { quoted, isAt, skipSpace, valueAfter, firstMember, nextMember } = json;
const SERVICE_NAME = quoted('service');
const VERSION = quoted('version');
const INSTANCE_ID_NAME = quoted('instance_id');
const METRICS = quoted('metrics');
const TYPE = quoted('type');
const TIMESTAMP = quoted('timestamp');
const VALUE = quoted('value');
const DURATION = quoted('duration_ms');
const DIMENSIONS = quoted('dimensions');
const METADATA = quoted('metadata');
const RESERVED = quoted(PROTOTYPE_KEY);
const TYPES = METRIC_TYPES.map(quoted);

/** Members of a metric that were seen, one bit each: of one that comes twice the last counts, which is not plain. */
const HAS_TYPE = 1;
const HAS_TIMESTAMP = 2;
const HAS_VALUE = 4;
const HAS_DURATION = 8;
const HAS_DIMENSIONS = 16;
const HAS_METADATA = 32;
const REQUIRED = HAS_TYPE | HAS_VALUE;

const isReserved = (bytes: Uint8Array, at: number): boolean => bytes[at] === RESERVED[0] && isAt(bytes, at, RESERVED);

// Of names within dimensions and metadata that come twice both are counted, and both are right: no fewer, and no other, than
// the checks would find.

export function createBodyScanner(given: MetricLimits): BodyScanner {
  const limits = wholeLimits(given);
  const { maxMetrics, maxValue, maxDurationMs, maxDimensions, maxDimensionKeyLength, maxDimensionValueLength } = limits;
  const { maxMetadataFields, maxMetadataKeyLength, maxMetadataLength } = limits;
  const maxTextLength = Math.max(limits.maxServiceLength, limits.maxVersionLength, limits.maxInstanceIdLength);
  /** Of the metric under way. */
  let type: MetricType = 'custom';

  const dimensionsEnd = (bytes: Uint8Array, at: number): number => {
    at = firstMember(bytes, at);
    for (let count = 1; at >= 0 && bytes[at] === json.QUOTE; count += 1) {
      const quote = json.nameEnd(bytes, at + 1);
      if (quote < 0 || quote - at - 1 > maxDimensionKeyLength || count > maxDimensions) return -1;
      if (isReserved(bytes, at + 1)) return -1;
      at = valueAfter(bytes, quote);
      if (at >= 0) at = json.scalarEnd(bytes, at, maxDimensionValueLength);
      if (at >= 0) at = nextMember(bytes, at);
    }
    return at < 0 ? -1 : at + 1;
  };

  const metadataEnd = (bytes: Uint8Array, at: number): number => {
    at = firstMember(bytes, at);
    for (let count = 1; at >= 0 && bytes[at] === json.QUOTE; count += 1) {
      const quote = json.stringEnd(bytes, at + 1, maxMetadataKeyLength);
      if (quote < 0 || count > maxMetadataFields || isReserved(bytes, at + 1)) return -1;
      at = valueAfter(bytes, quote);
      if (at >= 0) at = json.scalarEnd(bytes, at, maxMetadataLength);
      if (at >= 0) at = nextMember(bytes, at);
    }
    return at < 0 ? -1 : at + 1;
  };

  const typeEnd = (bytes: Uint8Array, at: number): number => {
    if (bytes[at] !== json.QUOTE) return -1;
    for (let index = 0; index < TYPES.length; index += 1) {
      const text = TYPES[index]!;
      if (!isAt(bytes, at + 1, text)) continue;
      type = METRIC_TYPES[index]!;
      return at + 1 + text.length;
    }
    return -1;
  };

  /** A number from 0 to `most`. */
  const boundedEnd = (bytes: Uint8Array, at: number, most: number): number => {
    const end = json.numberEnd(bytes, at);
    return end < 0 || json.lastWhole() + 1 > most ? -1 : end;
  };

  const metricEnd = (bytes: Uint8Array, at: number, window: TimeWindow, warnBefore: number): number => {
    let seen = 0;
    let timestamp = Number.POSITIVE_INFINITY;
    at = firstMember(bytes, at);
    while (at >= 0 && bytes[at] === json.QUOTE) {
      const name = at + 1;
      let member: number;
      if (isAt(bytes, name, TYPE)) {
        member = HAS_TYPE;
        at = valueAfter(bytes, name + TYPE.length - 1);
        if (at >= 0) at = typeEnd(bytes, at);
      } else if (isAt(bytes, name, TIMESTAMP)) {
        member = HAS_TIMESTAMP;
        at = valueAfter(bytes, name + TIMESTAMP.length - 1);
        if (at >= 0) at = json.timestampEnd(bytes, at);
        timestamp = json.lastTime();
        if (!(timestamp <= window.latest && timestamp >= warnBefore)) return -1;
      } else if (isAt(bytes, name, VALUE)) {
        member = HAS_VALUE;
        at = valueAfter(bytes, name + VALUE.length - 1);
        if (at >= 0) at = boundedEnd(bytes, at, maxValue);
      } else if (isAt(bytes, name, DURATION)) {
        member = HAS_DURATION;
        at = valueAfter(bytes, name + DURATION.length - 1);
        if (at >= 0) at = bytes[at] === json.LETTER_N ? json.nullEnd(bytes, at) : boundedEnd(bytes, at, maxDurationMs);
      } else if (isAt(bytes, name, DIMENSIONS)) {
        member = HAS_DIMENSIONS;
        at = valueAfter(bytes, name + DIMENSIONS.length - 1);
        if (at >= 0) at = dimensionsEnd(bytes, at);
      } else if (isAt(bytes, name, METADATA)) {
        member = HAS_METADATA;
        at = valueAfter(bytes, name + METADATA.length - 1);
        if (at >= 0) at = metadataEnd(bytes, at);
      } else return -1;
      // Where the body's last brace was taken for that of a metric, nothing is to be read past it.
      if (at < 0 || at >= bytes.length || (seen & member) !== 0) return -1;
      seen |= member;
      at = nextMember(bytes, at);
    }
    return at < 0 || (seen & REQUIRED) !== REQUIRED || timestamp < window.earliest[type] ? -1 : at + 1;
  };

  return {
    scan: (bytes, window, warnBefore) => {
      const last = json.textEnd(bytes) - 1;
      if (last < 0 || bytes[last] !== json.CLOSE) return undefined;
      const text = Buffer.from(bytes.buffer, bytes.byteOffset, last + 1);
      if (!isAscii(text) && !isUtf8(text)) return undefined;
      let service: string | undefined;
      let version: string | undefined;
      let instanceId: string | undefined;
      let metrics = 0;
      let at = firstMember(text, skipSpace(text, 0));
      while (at >= 0 && text[at] === json.QUOTE) {
        const name = at + 1;
        if (metrics === 0 && isAt(text, name, METRICS)) {
          at = valueAfter(text, name + METRICS.length - 1);
          if (at < 0 || text[at] !== json.OPEN_ARRAY) return undefined;
          do {
            at = metricEnd(text, skipSpace(text, at + 1), window, warnBefore);
            metrics += 1;
            if (at < 0 || at >= last || metrics > maxMetrics) return undefined;
            at = skipSpace(text, at);
          } while (text[at] === json.COMMA);
          if (text[at] !== json.CLOSE_ARRAY) return undefined;
          at += 1;
        } else {
          const quote = json.nameEnd(text, name);
          const from = quote < 0 ? -1 : valueAfter(text, quote);
          if (from < 0 || text[from] !== json.QUOTE) return undefined;
          const to = json.stringEnd(text, from + 1, maxTextLength);
          if (to < 0) return undefined;
          const value = text.toString('latin1', from + 1, to);
          if (service === undefined && isAt(text, name, SERVICE_NAME)) service = value;
          else if (version === undefined && isAt(text, name, VERSION)) version = value;
          else if (instanceId === undefined && isAt(text, name, INSTANCE_ID_NAME)) instanceId = value;
          else return undefined;
          at = to + 1;
        }
        at = nextMember(text, at);
      }
      return at === last &&
        metrics > 0 &&
        matches(service, SERVICE, limits.maxServiceLength) &&
        (version === undefined || matches(version, SEMANTIC_VERSION, limits.maxVersionLength)) &&
        (instanceId === undefined || matches(instanceId, INSTANCE_ID, limits.maxInstanceIdLength))
        ? { service, version, instanceId, metrics }
        : undefined;
    },
  };
}

/** The patterns are of ASCII: nothing that was read wrongly as Latin-1 fits one, nor anything with a backslash. */
const matches = (text: string | undefined, pattern: RegExp, maxLength: number): text is string =>
  text !== undefined && text.length <= maxLength && pattern.test(text);

/** What is counted is whole, so that 2 are as many as 2.5 allow; of a value or a duration it may be less. */
const wholeLimits = (limits: MetricLimits): MetricLimits =>
  Object.fromEntries(
    Object.entries(limits).map(([name, limit]: [string, number]) => [name, Math.floor(limit)]),
  ) as unknown as MetricLimits;
