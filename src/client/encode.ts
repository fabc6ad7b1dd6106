/** Writes one metric as the JSON that `POST /metrics` takes, within its limits, at the moment it is recorded. */

const MAX_TEXT = 200;
const MAX_DIMENSIONS = 20;
const MAX_METADATA = 30;
const MAX_METADATA_CHARACTERS = 1000;
const MAX_KEY = 50;
const LONGEST_DURATION_MS = 86_400_000;

/** Cuts without splitting a character in two. */
export function cut(text: string, longest: number): string {
  return text.length > longest ? text.slice(0, longest).replace(/[\ud800-\udbff]$/, '') : text;
}

/** Within bounds; what is missing becomes the preset, and NaN the least. */
export const between = (value: number | undefined, preset: number, least: number, most: number): number =>
  Math.min(Math.max(value ?? preset, least), most) || least;

/** A key that the gateway takes: `a-b` becomes `a_b`, `1st` becomes `_1st`. */
const cleanKey = (key: string): string =>
  key
    .replace(/\W/g, '_')
    .replace(/^(?=\d|$)/, '_')
    .slice(0, MAX_KEY);

/** Dimensions are plain: text is cut, and what is neither text, number nor boolean is left out. */
function dimension(value: unknown, longest: number): unknown {
  if (longest === 0) return undefined;
  if (typeof value === 'string') return cut(value, longest);
  return typeof value === 'boolean' || Number.isFinite(value) ? value : undefined;
}

/** Metadata is any JSON that is short enough; text is cut. */
function metadatum(value: unknown): unknown {
  if (typeof value === 'string') return cut(value, MAX_METADATA_CHARACTERS);
  if (typeof value === 'number') return value;
  return JSON.stringify(value ?? undefined)?.length > MAX_METADATA_CHARACTERS ? undefined : (value ?? undefined);
}

/** The start of the last time that was written, up to its second: most metrics share it with the one before. */
let second = NaN;
let secondText = '';

/** ISO 8601, as `Date` has it. @throws RangeError for a time beyond those of `Date` */
function timeText(timestamp: number): string {
  const since = Math.floor(timestamp / 1000);
  if (since !== second) {
    secondText = new Date(since * 1000).toISOString().slice(0, -4);
    second = since;
  }
  // The 1 in front keeps the zeros until it is cut off.
  return `${secondText}${`${(timestamp - since * 1000 + 1000) | 0}`.slice(1)}Z`;
}

/** Adds a caller's own fields behind the metric's, which they neither replace nor push out. */
function addFurther(
  to: Record<string, unknown>,
  further: unknown,
  most: number,
  keyOf: (key: string) => string,
  valueOf: (value: unknown, longest: number) => unknown,
): void {
  let count = Object.keys(to).length;
  for (const [key, value] of Object.entries(further ?? {})) {
    const name = keyOf(key);
    const limited = valueOf(value, MAX_TEXT);
    if (limited === undefined || count >= most || Object.hasOwn(to, name)) continue;
    to[name] = limited;
    count += 1;
  }
}

type Names = ReadonlyArray<readonly [field: string, wire: string]>;

/** `userHash` is `user_hash` on the wire; `a:b` is field `a` under the name `b`. */
function readNames(names: string): Names {
  return names.split(' ').map((name) => {
    const [field = '', wire = field.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`)] = name.split(':');
    return [field, wire];
  });
}

/** The fields of these names that have a value, under their names on the wire. */
function pick(
  fields: Readonly<Record<string, unknown>>,
  names: Names,
  valueOf: (value: unknown, field: string) => unknown,
): Record<string, unknown> {
  const picked: Record<string, unknown> = {};
  for (const [field, wire] of names) {
    const value = valueOf(fields[field], field);
    if (value !== undefined) picked[wire] = value;
  }
  return picked;
}

/**
 * Makes the writer of one metric type.
 * @param dimensions names of the fields that become dimensions, in camel case
 * @param metadata names of those that become metadata
 * @param maxQuery characters of the field `query` that are kept; 0 keeps none
 */
export function createEncoder(
  type: string,
  dimensions: string,
  metadata: string,
  maxQuery: number,
): (given: object, value: number) => string {
  const dimensionNames = readNames(dimensions);
  const metadataNames = readNames(metadata);
  /** @throws TypeError for a value or time that is no number, and for what JSON cannot hold */
  return (given, value) => {
    const fields = given as Readonly<Record<string, unknown>>;
    if (!Number.isFinite(value)) throw new TypeError(`value of ${type} is not finite`);
    const own = pick(fields, dimensionNames, (value, field) =>
      dimension(value, field === 'query' ? maxQuery : MAX_TEXT),
    );
    // Codes are words, whether a caller has them as numbers or not.
    const extra = pick(fields, metadataNames, (value, field) =>
      metadatum(field === 'errorCode' && typeof value === 'number' ? `${value}` : value),
    );
    addFurther(own, fields['dimensions'], MAX_DIMENSIONS, cleanKey, dimension);
    addFurther(extra, fields['metadata'], MAX_METADATA, (key) => cut(key, MAX_KEY), metadatum);
    const { durationMs, timestamp } = fields;
    const at = timeText(typeof timestamp === 'number' ? timestamp : Date.now());
    return `{"type":"${type}","timestamp":"${at}","value":${value},${
      Number.isFinite(durationMs) ? `"duration_ms":${between(durationMs as number, 0, 0, LONGEST_DURATION_MS)},` : ''
    }"dimensions":${JSON.stringify(own)},"metadata":${JSON.stringify(extra)}}`;
  };
}
