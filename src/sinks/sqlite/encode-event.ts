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
const PACKED_REQUEST = /^req_(?:[0-9a-f]{2}){4,16}$/;

/** Unambiguous: the kind of the value, its length, the value. */
const keyPart = (value: Json): string => {
  if (typeof value === 'string') return `s${value.length}:${value}`;
  const text = typeof value === 'object' ? JSON.stringify(value) : String(value);
  return `${typeof value === 'number' ? 'n' : typeof value === 'boolean' ? 'b' : 'o'}${text.length}:${text}`;
};

const CLIENT_COLUMNS = ['client_name', 'client_version'] as const;

export function createEventEncoder(dictionaries: EventDictionaries): (event: MetricEvent) => EncodedEvent {
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
  let names: string[] = [];

  return (event) => {
    const { dimensions, metadata, timestamp } = event;
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
    fields = [];
    names = [];
    const dimensionKey = place(event, columns, dimensions, undefined);
    const dimensionNames = names;
    names = [];
    const metadataKey = place(event, columns, metadata, dimensions);
    const metadataNames = names;
    const shape = dictionaries.shapes.shared(`${dimensionKey}|${metadataKey}`, timestamp, () =>
      isPlain(dimensionNames) && isPlain(metadataNames)
        ? [describe(dimensionNames), describe(metadataNames)]
        : undefined,
    );
    encoded.shapeId = shape?.id ?? null;
    encoded.fields =
      shape === undefined
        ? JSON.stringify({ d: dimensions, m: metadata })
        : fields.length === 0
          ? null
          : JSON.stringify(fields);
    return encoded;
  };

  /**
   * Finds each value's source and puts what has none into `fields`. In `names`: name, source, name, source …
   * @param over the dimensions, when `values` is the metadata: a column reads the metadata only where they are silent
   */
  function place(
    event: MetricEvent,
    columns: TypeColumns,
    values: Dimensions | Metadata,
    over: Dimensions | undefined,
  ): string {
    let key = '';
    for (const name in values) {
      const value = values[name]!;
      let source = '';
      if (over === undefined && (columns.labels as readonly string[]).includes(name)) source = 'l';
      else if (over === undefined && columns.client && (name === 'client_name' || name === 'client_version')) {
        source = 'c';
      } else if (typeof value === 'string') {
        if (over !== undefined && name === 'request_id' && PACKED_REQUEST.test(value)) {
          source = 'q';
          encoded.emitterRequest = Buffer.from(value.slice(4), 'hex');
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
      if (source === '') {
        source = 'f';
        names.push(name, String(fields.length));
        fields.push(value);
      } else names.push(name, source);
      key += `${name.length}:${name}${source}`;
    }
    return key;
  }

  function attributeSet(columns: TypeColumns, { dimensions, metadata, timestamp }: MetricEvent): DictionaryEntry {
    let key = `${columns.number}`;
    for (const name of columns.labels) key += labelKey(name, dimensions, metadata);
    return dictionaries.attributeSets.entry(key, timestamp, () => [
      columns.number,
      ...LABEL_COLUMNS.map((name) =>
        columns.labels.includes(name) ? labelValue(name, dimensions[name] ?? metadata[name]) : null,
      ),
      labelsJson(columns.labels, dimensions),
    ]);
  }

  function client({ dimensions, metadata, timestamp }: MetricEvent): DictionaryEntry | undefined {
    const name = labelKey('client_name', dimensions, metadata);
    const version = labelKey('client_version', dimensions, metadata);
    if (name === '-' && version === '-') return undefined;
    return dictionaries.clients.entry(name + version, timestamp, () => [
      textOf(dimensions['client_name'] ?? metadata['client_name']),
      textOf(dimensions['client_version'] ?? metadata['client_version']),
      labelsJson(CLIENT_COLUMNS, dimensions),
    ]);
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
