/** Which dimensions become columns, by type: the one table that the encoder, the rollups and the queries share. */
import { type Json, METRIC_TYPES, type MetricType } from '../../core/metric.ts';

/** Columns of attribute_sets, in the order of its insert. */
export const LABEL_COLUMNS = [
  'success',
  'method',
  'server',
  'tool_name',
  'server_name',
  'server_path',
  'error_code',
  'flow_step',
  'operation',
  'resource_type',
  'endpoint',
  'status_code',
  'healthy',
  'metric_name',
] as const;
export type LabelColumn = (typeof LABEL_COLUMNS)[number];

/** Labels that rollups are kept by: all but the path, which follows from the server's name. */
export const ROLLUP_LABELS = [
  'success',
  'method',
  'server',
  'tool_name',
  'server_name',
  'client_name',
  'error_code',
  'flow_step',
  'operation',
  'resource_type',
  'endpoint',
  'status_code',
  'healthy',
  'metric_name',
] as const;

/** What a type's dimensions (else metadata fields) of these names become. */
export interface TypeColumns {
  /** Index in METRIC_TYPES, plus one: the number in the database. */
  readonly number: number;
  /** Bounded values, in attribute_sets. */
  readonly labels: readonly LabelColumn[];
  /** True where client_name and client_version go to the dictionary of clients. */
  readonly client: boolean;
  /** The names that number_1, number_2 … hold on the row. */
  readonly numbers: readonly string[];
  /** The name that text_1 holds on the row. */
  readonly text?: string;
}

const columns = (
  type: MetricType,
  labels: readonly LabelColumn[],
  rest: Partial<Omit<TypeColumns, 'number' | 'labels'>> = {},
): TypeColumns => ({ number: METRIC_TYPES.indexOf(type) + 1, labels, client: false, numbers: [], ...rest });

export const COLUMNS: Readonly<Record<MetricType, TypeColumns>> = {
  auth_request: columns('auth_request', ['success', 'method', 'server', 'error_code']),
  tool_execution: columns(
    'tool_execution',
    ['success', 'method', 'tool_name', 'server_name', 'server_path', 'error_code'],
    { client: true, numbers: ['input_size_bytes', 'output_size_bytes'] },
  ),
  tool_discovery: columns('tool_discovery', [], {
    text: 'query',
    numbers: ['results_count', 'top_k_services', 'top_n_tools', 'embedding_time_ms', 'faiss_search_time_ms'],
  }),
  protocol_latency: columns('protocol_latency', ['flow_step', 'server_name'], { text: 'session_key' }),
  registry_operation: columns('registry_operation', ['success', 'operation', 'resource_type']),
  health_check: columns('health_check', ['endpoint', 'status_code', 'healthy']),
  custom: columns('custom', ['metric_name']),
};

/** The number that stands for a type in the database. */
export const typeNumber = (type: MetricType): number => COLUMNS[type].number;
/** A column's text of an attribute's value. */
export const textOf = (value: Json | undefined): string | null => {
  if (value === undefined || value === null) return null;
  return typeof value === 'string' ? value : typeof value === 'object' ? JSON.stringify(value) : String(value);
};

/** Texts that SQLite's NUMERIC affinity turns into numbers (sqlite.org/datatype3.html, section 3.1). */
const NUMERIC_TEXT = /^\s*[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:e[+-]?\d+)?\s*$/i;

/** A label column's value of an attribute: as text, but `success` and `healthy` as 1 and 0 where they can. */
export const labelValue = (name: string, value: Json | undefined): string | number | null => {
  if (name !== 'success' && name !== 'healthy') return textOf(value);
  if (typeof value === 'boolean' || typeof value === 'number') return Number(value);
  if (typeof value === 'string' && NUMERIC_TEXT.test(value)) return Number(value);
  return textOf(value);
};
