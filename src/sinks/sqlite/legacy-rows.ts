/** Rows of the replaced service's database as the events and keys that they are. */
import { readJsonMetric } from '../../core/json-events.ts';
import { type DimensionValue, type Json, METRIC_TYPES, type MetricEvent, type MetricType } from '../../core/metric.ts';
import { parseTimestamp } from '../../core/timestamp.ts';

export type Row = Readonly<Record<string, unknown>>;

export interface LegacyEvent {
  readonly event: MetricEvent;
  readonly requestId: string;
  readonly receivedAt: number;
  readonly service: string;
  readonly serviceVersion?: string;
  readonly instanceId?: string;
}

export interface LegacyKey {
  readonly sha256: string;
  readonly service: string;
  readonly description: string;
  readonly createdAt: number;
  readonly lastUsedAt?: number;
  readonly isActive: boolean;
  readonly requestsPerMinute?: number;
  readonly usageCount: number;
}

/** How long the replaced service was told to keep a table. */
export interface LegacyPolicy {
  readonly id: number;
  /** A name of that service's; not each has a table here. */
  readonly table: string;
  readonly retentionDays: number;
  readonly isActive: boolean;
}

/** Typed columns that emitters send as dimensions, and those that they send as metadata. */
const DIMENSION_COLUMNS = [
  'success',
  'method',
  'server',
  'user_hash',
  'tool_name',
  'server_name',
  'server_path',
  'client_name',
  'client_version',
  'query',
  'results_count',
  'top_k_services',
  'top_n_tools',
] as const;
const METADATA_COLUMNS = [
  'error_code',
  'input_size_bytes',
  'output_size_bytes',
  'embedding_time_ms',
  'faiss_search_time_ms',
] as const;

export interface ReadRow {
  readonly event: LegacyEvent;
  /** JSON columns that could not be read, with why: the event is without what they held. */
  readonly unreadable: readonly string[];
}

/** @returns the event, or why the row is none */
export function readRow(row: Row, typed: Row, typedAs: MetricType | undefined): ReadRow | string {
  const type = typedAs ?? METRIC_TYPES.find((each) => each === row['metric_type']);
  if (type === undefined) return `unknown metric_type ${JSON.stringify(row['metric_type'])}`;
  const timestamp = textOf(row['timestamp']);
  if (timestamp === undefined || Number.isNaN(parseTimestamp(timestamp))) {
    return `timestamp ${JSON.stringify(row['timestamp'])} is no ISO 8601 time`;
  }
  const value = row['value'] ?? 1;
  if (typeof value !== 'number' || !Number.isFinite(value)) return `value ${JSON.stringify(value)} is no number`;
  const duration = row['duration_ms'];
  const unreadable: string[] = [];
  const jsonOf = (column: 'dimensions' | 'metadata'): JsonObject => {
    const read = readJson(row[column]);
    if (typeof read !== 'string') return read;
    unreadable.push(`${column} ${read}`);
    return {};
  };
  const dimensions: Record<string, DimensionValue> = {};
  for (const [name, dimension] of Object.entries(jsonOf('dimensions'))) {
    if (dimension !== null) dimensions[name] = typeof dimension === 'object' ? JSON.stringify(dimension) : dimension;
  }
  const metadata: Record<string, Json> = { ...jsonOf('metadata') };
  for (const name of DIMENSION_COLUMNS) {
    const column = scalarOf(typed[name]);
    if (column !== undefined && dimensions[name] === undefined && (metadata[name] ?? null) === null) {
      dimensions[name] = name === 'success' ? booleanOf(column) : column;
    }
  }
  // The service kept booleans as 0 and 1; as a dimension they are true and false.
  const { success } = dimensions;
  if (success === 0 || success === 1) dimensions['success'] = success === 1;
  for (const name of METADATA_COLUMNS) {
    const column = scalarOf(typed[name]);
    if (column !== undefined && dimensions[name] === undefined && (metadata[name] ?? null) === null) {
      metadata[name] = column;
    }
  }
  const event = readJsonMetric(
    { type, timestamp, value, duration_ms: typeof duration === 'number' ? duration : null, dimensions, metadata },
    0,
  );
  const version = textOf(row['service_version']);
  const instance = textOf(row['instance_id']);
  return {
    event: {
      event,
      requestId: textOf(row['request_id']) ?? '',
      receivedAt: timeOf(row['created_at']) ?? event.timestamp,
      service: textOf(row['service']) ?? 'unknown',
      ...(version === undefined ? undefined : { serviceVersion: version }),
      ...(instance === undefined ? undefined : { instanceId: instance }),
    },
    unreadable,
  };
}

export function readKey(row: Row): LegacyKey {
  const lastUsedAt = timeOf(row['last_used_at']);
  const limit = row['rate_limit'];
  return {
    sha256: String(row['key_hash']).toLowerCase(),
    service: textOf(row['service_name']) ?? 'unknown',
    description: textOf(row['description']) ?? '',
    createdAt: timeOf(row['created_at']) ?? 0,
    ...(lastUsedAt === undefined ? undefined : { lastUsedAt }),
    isActive: isOn(row['is_active']),
    ...(typeof limit === 'number' && limit > 0 ? { requestsPerMinute: limit } : undefined),
    usageCount: typeof row['usage_count'] === 'number' ? row['usage_count'] : 0,
  };
}

export const readPolicy = (row: Row): LegacyPolicy => ({
  id: Number(row['id']),
  table: String(row['table_name']),
  retentionDays: Number(row['retention_days']),
  isActive: isOn(row['is_active']),
});

/** A column that is true by default. */
const isOn = (value: unknown): boolean => value !== 0 && !/^(?:0|false)$/i.test(String(value));

const textOf = (value: unknown): string | undefined => (typeof value === 'string' && value !== '' ? value : undefined);

const scalarOf = (value: unknown): string | number | undefined =>
  typeof value === 'string' || typeof value === 'number' ? value : undefined;

const booleanOf = (value: string | number): DimensionValue =>
  value === 1 || value === '1' ? true : value === 0 || value === '0' ? false : value;

const timeOf = (value: unknown): number | undefined => {
  const time = typeof value === 'string' ? parseTimestamp(value) : Number.NaN;
  return Number.isNaN(time) ? undefined : time;
};

type JsonObject = Readonly<Record<string, Exclude<Json, undefined>>>;

/** The object in a JSON column, which may be empty, or why there is none. The text itself is not told: it may hold anything. */
function readJson(text: unknown): JsonObject | string {
  if (text === null || text === undefined || text === '') return {};
  if (typeof text !== 'string') return 'is no text';
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return 'is no JSON';
  }
  if (value === null) return {};
  return typeof value === 'object' && !Array.isArray(value) ? (value as JsonObject) : 'is no JSON object';
}
