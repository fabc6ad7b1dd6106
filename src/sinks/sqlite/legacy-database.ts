/**
 * Reads the database of the metrics service that this gateway replaces. A typed row (auth_metrics …) and the `metrics`
 * row that it was written with become one event; a typed row without one becomes an event of its own.
 */
import { hash } from 'node:crypto';
import Database from 'better-sqlite3';
import { readJsonMetric } from '../../core/json-events.ts';
import { type DimensionValue, type Json, METRIC_TYPES, type MetricEvent, type MetricType } from '../../core/metric.ts';
import { parseTimestamp } from '../../core/timestamp.ts';
import { UnusableDatabase } from './migrate.ts';

/** Where an import has come to in one table of the source. */
export interface ImportAnchor {
  readonly sourceTable: string;
  readonly sourceId: number;
  /** SHA-256 of that row, so that the same source is known again. */
  readonly digest: string;
}

export interface LegacyEvent {
  readonly event: MetricEvent;
  readonly requestId: string;
  readonly receivedAt: number;
  readonly service: string;
  readonly serviceVersion?: string;
  readonly instanceId?: string;
}

export interface LegacySlice {
  readonly events: readonly LegacyEvent[];
  /** Rows that are no events, with why. */
  readonly skipped: readonly { readonly row: string; readonly reason: string }[];
  readonly anchor: ImportAnchor | undefined;
  /** Rows of the source that this slice covers. */
  readonly rows: number;
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

export interface LegacyDatabase {
  /** The source's tables in the order of import, with the rows that each has to give. */
  readonly tables: () => { readonly table: string; readonly rows: number }[];
  /** How many of a table's rows an import that has come to `throughId` is done with. */
  readonly rowsThrough: (table: string, throughId: number) => number;
  /** Whether the row that an anchor names is this source's. */
  readonly knows: (anchor: ImportAnchor) => boolean;
  /** The next rows of a table, after `afterId`; without rows it is at its end. */
  readonly next: (table: string, afterId: number, limit: number) => LegacySlice;
  readonly keys: () => LegacyKey[];
  readonly close: () => void;
}

type Row = Readonly<Record<string, unknown>>;

const TYPED: Readonly<Record<string, MetricType>> = {
  auth_metrics: 'auth_request',
  tool_metrics: 'tool_execution',
  discovery_metrics: 'tool_discovery',
};

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

/** @throws UnusableDatabase for a file that is no such database */
export function openLegacyDatabase(path: string): LegacyDatabase {
  let db: Database.Database;
  try {
    db = new Database(path, { readonly: true, fileMustExist: true });
  } catch (error) {
    throw new UnusableDatabase(`${path} cannot be opened: ${error instanceof Error ? error.message : String(error)}`);
  }
  const names = readTables(db, path);
  const typed = Object.keys(TYPED).filter((table) => names.has(table));
  pair(db, typed);
  const digestOf = (row: Row): string => hash('sha256', JSON.stringify(row), 'hex');
  const partner = db.prepare<[number], { kind: string; typed_id: number }>(
    'SELECT kind, typed_id FROM temp.pairs WHERE metric_id = ?',
  );

  /** The rows that a table has to give: of a typed one those that no `metrics` row was written with. */
  const rowsOf = (table: string): string =>
    table === 'metrics'
      ? 'FROM metrics WHERE true'
      : `FROM ${table} WHERE id NOT IN (SELECT typed_id FROM temp.pairs WHERE kind = '${table}')`;

  return {
    tables: () =>
      ['metrics', ...typed].map((table) => ({ table, rows: countOf(db, `SELECT count(*) ${rowsOf(table)}`) })),
    rowsThrough: (table, throughId) => countOf(db, `SELECT count(*) ${rowsOf(table)} AND id <= ${throughId}`),
    knows: ({ sourceTable, sourceId, digest }) => {
      if (sourceTable !== 'metrics' && !typed.includes(sourceTable)) return false;
      const row = db.prepare<[number], Row>(`SELECT * FROM ${sourceTable} WHERE id = ?`).get(sourceId);
      return row !== undefined && digestOf(row) === digest;
    },
    next: (table, afterId, limit) => {
      const rows = db
        .prepare<[number, number], Row>(`SELECT * ${rowsOf(table)} AND id > ? ORDER BY id LIMIT ?`)
        .all(afterId, limit);
      const events: LegacyEvent[] = [];
      const skipped: { row: string; reason: string }[] = [];
      for (const row of rows) {
        let extra: Row = row;
        if (table === 'metrics') {
          const found = partner.get(Number(row['id']));
          extra =
            found === undefined
              ? {}
              : (db.prepare<[number], Row>(`SELECT * FROM ${found.kind} WHERE id = ?`).get(found.typed_id) ?? {});
        }
        const read = readRow(row, extra, TYPED[table]);
        if (typeof read === 'string') skipped.push({ row: `${table} ${String(row['id'])}`, reason: read });
        else events.push(read);
      }
      const last = rows.at(-1);
      return {
        events,
        skipped,
        rows: rows.length,
        anchor:
          last === undefined ? undefined : { sourceTable: table, sourceId: Number(last['id']), digest: digestOf(last) },
      };
    },
    keys: () =>
      names.has('api_keys') ? db.prepare<[], Row>('SELECT * FROM api_keys ORDER BY id').all().map(readKey) : [],
    close: () => db.close(),
  };
}

function readTables(db: Database.Database, path: string): Set<string> {
  try {
    const names = new Set(db.prepare<[], string>("SELECT name FROM sqlite_schema WHERE type = 'table'").pluck().all());
    if (names.has('metrics') && !names.has('__drizzle_migrations')) return names;
  } catch {
    // Not a database at all: said below.
  }
  db.close();
  throw new UnusableDatabase(
    `${path} is not a database of the metrics service that this gateway replaces: it has no table "metrics" of that form`,
  );
}

/**
 * Finds for each typed row the `metrics` row that it was written with: of the same request, time, service and type,
 * the first with the first, the second with the second.
 */
function pair(db: Database.Database, typed: readonly string[]): void {
  const numbered = (from: string, type: string): string =>
    `SELECT ${from}, ${type} AS type, row_number() OVER (PARTITION BY request_id, timestamp, service, ${type} ORDER BY id) AS n`;
  const columns = 'id, request_id, timestamp, service';
  db.exec(`
    CREATE TEMP TABLE typed_rows AS
      ${[
        'SELECT NULL AS kind, NULL AS id, NULL AS request_id, NULL AS timestamp, NULL AS service, NULL AS type, 0 AS n WHERE 0',
        ...typed.map((table) => `${numbered(`'${table}' AS kind, ${columns}`, `'${TYPED[table]!}'`)} FROM ${table}`),
      ].join(' UNION ALL ')};
    CREATE INDEX temp.typed_rows_by_request ON typed_rows (request_id);
    CREATE TEMP TABLE pairs AS
      SELECT m.id AS metric_id, t.kind, t.id AS typed_id
      FROM (${numbered(columns, 'metric_type')} FROM metrics) m
      CROSS JOIN typed_rows t ON t.request_id = m.request_id AND t.timestamp = m.timestamp AND t.service = m.service
        AND t.type = m.type AND t.n = m.n;
    CREATE INDEX temp.pairs_by_metric ON pairs (metric_id);
    CREATE INDEX temp.pairs_by_typed ON pairs (kind, typed_id);
    DROP TABLE temp.typed_rows;
  `);
}

const countOf = (db: Database.Database, sql: string): number => db.prepare<[], number>(sql).pluck().get() ?? 0;

/** @returns the event, or why the row is none */
function readRow(row: Row, typed: Row, typedAs: MetricType | undefined): LegacyEvent | string {
  const type = typedAs ?? METRIC_TYPES.find((each) => each === row['metric_type']);
  if (type === undefined) return `unknown metric_type ${JSON.stringify(row['metric_type'])}`;
  const timestamp = textOf(row['timestamp']);
  if (timestamp === undefined || Number.isNaN(parseTimestamp(timestamp))) {
    return `timestamp ${JSON.stringify(row['timestamp'])} is no ISO 8601 time`;
  }
  const value = row['value'] ?? 1;
  if (typeof value !== 'number' || !Number.isFinite(value)) return `value ${JSON.stringify(value)} is no number`;
  const duration = row['duration_ms'];
  const dimensions: Record<string, DimensionValue> = {};
  for (const [name, dimension] of Object.entries(jsonOf(row['dimensions']))) {
    if (dimension !== null) dimensions[name] = typeof dimension === 'object' ? JSON.stringify(dimension) : dimension;
  }
  const metadata: Record<string, Json> = { ...jsonOf(row['metadata']) };
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
    event,
    requestId: textOf(row['request_id']) ?? '',
    receivedAt: timeOf(row['created_at']) ?? event.timestamp,
    service: textOf(row['service']) ?? 'unknown',
    ...(version === undefined ? undefined : { serviceVersion: version }),
    ...(instance === undefined ? undefined : { instanceId: instance }),
  };
}

function readKey(row: Row): LegacyKey {
  const lastUsedAt = timeOf(row['last_used_at']);
  const limit = row['rate_limit'];
  return {
    sha256: String(row['key_hash']).toLowerCase(),
    service: textOf(row['service_name']) ?? 'unknown',
    description: textOf(row['description']) ?? '',
    createdAt: timeOf(row['created_at']) ?? 0,
    ...(lastUsedAt === undefined ? undefined : { lastUsedAt }),
    isActive: row['is_active'] !== 0 && row['is_active'] !== 'false',
    ...(typeof limit === 'number' && limit > 0 ? { requestsPerMinute: limit } : undefined),
    usageCount: typeof row['usage_count'] === 'number' ? row['usage_count'] : 0,
  };
}

const textOf = (value: unknown): string | undefined => (typeof value === 'string' && value !== '' ? value : undefined);

const scalarOf = (value: unknown): string | number | undefined =>
  typeof value === 'string' || typeof value === 'number' ? value : undefined;

const booleanOf = (value: string | number): DimensionValue =>
  value === 1 || value === '1' ? true : value === 0 || value === '0' ? false : value;

const timeOf = (value: unknown): number | undefined => {
  const time = typeof value === 'string' ? parseTimestamp(value) : Number.NaN;
  return Number.isNaN(time) ? undefined : time;
};

/** An object from JSON text; anything else counts as empty. */
function jsonOf(text: unknown): Readonly<Record<string, Exclude<Json, undefined>>> {
  if (typeof text !== 'string') return {};
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Record<string, Json>) : {};
  } catch {
    return {};
  }
}
