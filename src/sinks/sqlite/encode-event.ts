/**
 * Turns an event into its row: bounded labels go to dictionaries, the rest stays on the row. The shape says where each
 * value lies, so that the views give back `dimensions` and `metadata` as they came.
 *
 * Sources in a shape: `l` labels of the attribute set, `c` labels of the client, `u` user_hash, `t` text_1,
 * `n1`…`n5` number_1…, `v` value, `q` emitter_request; a number is an index in `fields`.
 */
import type { DimensionValue, Json, MetricEvent } from '../../core/metric.ts';
import { COLUMNS, LABEL_COLUMNS, labelValue, textOf, type TypeColumns } from './columns.ts';
import type { Dictionary, DictionaryEntry } from './dictionary.ts';
import { createPathCache, type PathCache } from './path-cache.ts';

export interface EventDictionaries {
  readonly attributeSets: Dictionary;
  readonly clients: Dictionary;
  readonly shapes: Dictionary;
}

/** What is put together of an event; one object is used over and over, read it at once. */
export interface EncodedEvent {
  type: number;
  attributeSet: DictionaryEntry;
  client: DictionaryEntry | undefined;
  shapeId: number | null;
  emitterRequest: Buffer | null;
  userHash: string | null;
  text1: string | null;
  readonly numbers: (number | string | null)[];
  fields: string | null;
}

type Dimensions = Readonly<Record<string, DimensionValue>>;
type Metadata = Readonly<Record<string, Json>>;

/** Names that a shape may hold: nothing that JSON escapes, so that SQLite's reading cannot differ from ours. */
const PLAIN_NAME = /^[ !#-[\]-~\u00a0-\ud7ff\ue000-\ufefe]+$/;
/** Texts that may leave `fields` for a column of their own and come back by json_quote. */
const PLAIN_TEXT = /^[ -~\u00a0-\ud7ff]*$/;
const PACKED_REQUEST = /^req_[0-9a-f]{8,32}$/;
const PACKED = Array.from({ length: 17 }, (_, length) => Buffer.alloc(length));

/** Unambiguous: the kind of the value, its length, the value. */
const keyPart = (value: Json): string => {
  if (typeof value === 'string') return `s${value.length}:${value}`;
  const text = typeof value === 'object' ? JSON.stringify(value) : String(value);
  return `${typeof value === 'number' ? 'n' : typeof value === 'boolean' ? 'b' : 'o'}${text.length}:${text}`;
};

const CLIENT_COLUMNS = ['client_name', 'client_version'] as const;

/** Marks in the paths of the caches; symbols, so that no name or value can be taken for one. */
const ABSENT = Symbol('absent');
const METADATA = Symbol('metadata');
const SOURCES: Readonly<Record<string, symbol>> = Object.fromEntries(
  ['l', 'c', 'u', 't', 'n1', 'n2', 'n3', 'n4', 'n5', 'v', 'q'].map((source) => [source, Symbol(source)]),
);

export interface EventEncoder {
  readonly encode: (event: MetricEvent) => EncodedEvent;
  /** Forgets what it knows of the dictionaries, together with them. */
  readonly reset: () => void;
}

export function createEventEncoder(dictionaries: EventDictionaries): EventEncoder {
  const sets = createPathCache<DictionaryEntry>();
  const clients = createPathCache<DictionaryEntry>();
  const shapes = createPathCache<DictionaryEntry>();
  const numbers: (number | string | null)[] = [null, null, null, null, null];
  const encoded: EncodedEvent = {
    type: 0,
    attributeSet: { id: 0, private: false, lastSeen: 0 },
    client: undefined,
    shapeId: null,
    emitterRequest: null,
    userHash: null,
    text1: null,
    numbers,
    fields: null,
  };
  let fields: Json[] = [];

  return {
    encode: (event) => {
      const { dimensions, metadata } = event;
      const columns = COLUMNS[event.type];
      encoded.type = columns.number;
      encoded.attributeSet = attributeSet(columns, event);
      encoded.client = columns.client ? client(event) : undefined;
      encoded.emitterRequest = null;
      encoded.userHash = textColumn('user_hash', dimensions, metadata);
      encoded.text1 = columns.text === undefined ? null : textColumn(columns.text, dimensions, metadata);
      for (let at = 0; at < numbers.length; at += 1) {
        const name = columns.numbers[at];
        numbers[at] = name === undefined ? null : numberColumn(dimensions[name] ?? metadata[name]);
      }
      const shape = shapeOf(event, columns);
      encoded.shapeId = shape?.id ?? null;
      encoded.fields =
        shape === undefined
          ? JSON.stringify({ d: dimensions, m: metadata })
          : fields.length === 0
            ? null
            : JSON.stringify(fields);
      return encoded;
    },
    reset: () => {
      sets.clear();
      clients.clear();
      shapes.clear();
    },
  };

  /** The event's shape; its values that have no place of their own are in `fields` then. */
  function shapeOf(event: MetricEvent, columns: TypeColumns): DictionaryEntry | undefined {
    const { dimensions, metadata, timestamp } = event;
    fields = [];
    shapes.begin();
    place(event, columns, dimensions, undefined, undefined);
    shapes.step(METADATA);
    place(event, columns, metadata, dimensions, undefined);
    const known = shapes.get();
    if (known !== undefined) return dictionaries.shapes.use(known, timestamp);
    fields = [];
    const dimensionNames: string[] = [];
    const metadataNames: string[] = [];
    shapes.begin();
    place(event, columns, dimensions, undefined, dimensionNames);
    shapes.step(METADATA);
    place(event, columns, metadata, dimensions, metadataNames);
    if (!isPlain(dimensionNames) || !isPlain(metadataNames)) return undefined;
    const content = [describe(dimensionNames), describe(metadataNames)] as const;
    const made = dictionaries.shapes.shared(content.join('|'), timestamp, () => content);
    if (made !== undefined) shapes.set(made);
    return made;
  }

  /**
   * Finds each value's source and puts what has none into `fields`; steps on in the cache of shapes.
   * @param over the dimensions, when `values` is the metadata: a column reads the metadata only where they are silent
   * @param names takes name, source, name, source …
   */
  function place(
    event: MetricEvent,
    columns: TypeColumns,
    values: Dimensions | Metadata,
    over: Dimensions | undefined,
    names: string[] | undefined,
  ): void {
    for (const name in values) {
      const value = values[name]!;
      let source = '';
      if (over === undefined && (columns.labels as readonly string[]).includes(name)) source = 'l';
      else if (over === undefined && columns.client && (name === 'client_name' || name === 'client_version')) {
        source = 'c';
      } else if (typeof value === 'string') {
        if (over !== undefined && name === 'request_id' && value.length % 2 === 0 && PACKED_REQUEST.test(value)) {
          source = 'q';
          // One buffer for each length, over and over: binding copies it.
          encoded.emitterRequest = PACKED[(value.length - 4) >> 1]!;
          encoded.emitterRequest.write(value.slice(4), 'hex');
        } else if (
          (name === 'user_hash' || name === columns.text) &&
          (over === undefined || over[name] === undefined) &&
          PLAIN_TEXT.test(value)
        ) {
          source = name === 'user_hash' ? 'u' : 't';
        }
      } else if (typeof value === 'number') {
        const at = columns.numbers.indexOf(name);
        if (at >= 0 && (over === undefined || over[name] === undefined) && isPlainInteger(value)) source = `n${at + 1}`;
        else if (over !== undefined && value === event.value && value !== 0) source = 'v';
      }
      shapes.step(name);
      if (source !== '') shapes.step(SOURCES[source]);
      names?.push(name, source === '' ? String(fields.length) : source);
      if (source === '') fields.push(value);
    }
  }

  function attributeSet(columns: TypeColumns, { dimensions, metadata, timestamp }: MetricEvent): DictionaryEntry {
    sets.begin();
    sets.step(columns.number);
    for (const name of columns.labels) stepLabel(sets, dimensions[name], metadata[name]);
    const known = sets.get();
    if (known !== undefined) return dictionaries.attributeSets.use(known, timestamp);
    let key = `${columns.number}`;
    for (const name of columns.labels) key += labelKey(name, dimensions, metadata);
    const made = dictionaries.attributeSets.entry(key, timestamp, () => [
      columns.number,
      ...LABEL_COLUMNS.map((name) =>
        columns.labels.includes(name) ? labelValue(name, dimensions[name] ?? metadata[name]) : null,
      ),
      labelsJson(columns.labels, dimensions),
    ]);
    if (!made.private) sets.set(made);
    return made;
  }

  function client({ dimensions, metadata, timestamp }: MetricEvent): DictionaryEntry | undefined {
    clients.begin();
    for (const name of CLIENT_COLUMNS) stepLabel(clients, dimensions[name], metadata[name]);
    const known = clients.get();
    if (known !== undefined) return dictionaries.clients.use(known, timestamp);
    const name = labelKey('client_name', dimensions, metadata);
    const version = labelKey('client_version', dimensions, metadata);
    if (name === '-' && version === '-') return undefined;
    const made = dictionaries.clients.entry(name + version, timestamp, () => [
      textOf(dimensions['client_name'] ?? metadata['client_name']),
      textOf(dimensions['client_version'] ?? metadata['client_version']),
      labelsJson(CLIENT_COLUMNS, dimensions),
    ]);
    if (!made.private) clients.set(made);
    return made;
  }
}

/** Steps on by what `labelKey` writes of a label. */
function stepLabel(
  cache: PathCache<DictionaryEntry>,
  dimension: DimensionValue | undefined,
  field: Json | undefined,
): void {
  if (dimension !== undefined) cache.step(dimension);
  else if (field === undefined || field === null) cache.step(ABSENT);
  else {
    cache.step(METADATA);
    if (typeof field === 'object') cache.step(METADATA);
    cache.step(typeof field === 'object' ? JSON.stringify(field) : field);
  }
}

const labelKey = (name: string, dimensions: Dimensions, metadata: Metadata): string => {
  const dimension = dimensions[name];
  if (dimension !== undefined) return `d${keyPart(dimension)}`;
  const field = metadata[name];
  return field === undefined || field === null ? '-' : `m${keyPart(field)}`;
};

const labelsJson = (names: readonly string[], dimensions: Dimensions): string => {
  const labels: Record<string, DimensionValue> = {};
  for (const name of names) {
    const value = dimensions[name];
    if (value !== undefined) labels[name] = value;
  }
  return JSON.stringify(labels);
};

const textColumn = (name: string, dimensions: Dimensions, metadata: Metadata): string | null =>
  textOf(dimensions[name] ?? metadata[name]);

const numberColumn = (value: Json | undefined): number | string | null => {
  if (typeof value === 'number' || typeof value === 'string') return value;
  return typeof value === 'boolean' ? Number(value) : null;
};

/** Numbers that come back from a NUMERIC column with the same JSON text. */
const isPlainInteger = (value: number): boolean =>
  Number.isInteger(value) && Math.abs(value) < 2 ** 47 && !Object.is(value, -0);

const describe = (names: readonly string[]): string => {
  const shape = new Map<string, string | number>();
  for (let at = 0; at < names.length; at += 2) {
    const source = names[at + 1]!;
    shape.set(names[at]!, /^\d/.test(source) ? Number(source) : source);
  }
  return JSON.stringify(Object.fromEntries(shape));
};

/** Whether all names can stand in a shape; else the event keeps its objects whole. */
const isPlain = (names: readonly string[]): boolean => names.every((name, at) => at % 2 === 1 || PLAIN_NAME.test(name));
