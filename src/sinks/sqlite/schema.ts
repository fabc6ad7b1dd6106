/**
 * The physical tables. What users read are the views over them (drizzle/0001_views.sql); docs/database-schema.md
 * explains both. The form was chosen by measurement: one row per event, monotone keys, repeated text in dictionaries.
 */
import { sql } from 'drizzle-orm';
import {
  blob,
  index,
  integer,
  numeric,
  primaryKey,
  real,
  sqliteTable,
  text,
  uniqueIndex,
} from 'drizzle-orm/sqlite-core';

/**
 * A dictionary row's `key` is a hash of its content. It is null in a private row, which serves a single event whose
 * values are beyond the caps.
 */
const dictionaryKey = () => blob('key', { mode: 'buffer' });
/** No event of the row is later than this (milliseconds, to the end of a day): when retention has passed it, the row goes. */
const lastSeen = () => integer('last_seen').notNull();

/** One row per accepted event. */
export const events = sqliteTable(
  'events',
  {
    id: integer('id').primaryKey(),
    /** Index in METRIC_TYPES, plus one. */
    type: integer('type').notNull(),
    /** Milliseconds since the Unix epoch, UTC. */
    timestamp: integer('timestamp').notNull(),
    attributeSetId: integer('attribute_set_id').notNull(),
    resourceId: integer('resource_id').notNull(),
    clientId: integer('client_id'),
    /** How `dimensions` and `metadata` are put together; null where `fields` holds both whole. */
    shapeId: integer('shape_id'),
    /** Milliseconds from `timestamp` to the arrival at the gateway. */
    receivedAfter: integer('received_after').notNull(),
    value: real('value').notNull(),
    durationMs: real('duration_ms'),
    /** 16 bytes for `req_` and 32 hex digits, else the text. */
    requestId: blob('request_id').notNull(),
    /** The emitter's own `req_` id in the metadata, its hex digits packed. */
    emitterRequest: blob('emitter_request'),
    userHash: text('user_hash'),
    /** protocol_latency: session_key; tool_discovery: query. */
    text1: text('text_1'),
    /** tool_execution: input_size_bytes; tool_discovery: results_count. */
    number1: numeric('number_1', { mode: 'number' }),
    /** tool_execution: output_size_bytes; tool_discovery: top_k_services. */
    number2: numeric('number_2', { mode: 'number' }),
    /** tool_discovery: top_n_tools. */
    number3: numeric('number_3', { mode: 'number' }),
    /** tool_discovery: embedding_time_ms. */
    number4: numeric('number_4', { mode: 'number' }),
    /** tool_discovery: faiss_search_time_ms. */
    number5: numeric('number_5', { mode: 'number' }),
    /** JSON array of the values that are nowhere else, in the order of the shape. */
    fields: text('fields'),
  },
  (table) => [
    index('events_by_time').on(table.timestamp, table.type),
    index('events_by_attribute_set').on(table.attributeSetId, table.timestamp),
    index('events_by_client')
      .on(table.clientId, table.timestamp)
      .where(sql`${table.clientId} is not null`),
    index('auth_events_by_user')
      .on(table.userHash, table.timestamp)
      .where(sql`${table.type} = 1`),
    index('tool_events_by_user')
      .on(table.userHash, table.timestamp)
      .where(sql`${table.type} = 2`),
    index('discovery_events_by_time')
      .on(table.timestamp)
      .where(sql`${table.type} = 3`),
    index('discovery_events_by_results')
      .on(table.number1)
      .where(sql`${table.type} = 3`),
  ],
);

/** Who sent it: service, version, instance, the key's service and further OpenTelemetry resource attributes. */
export const resources = sqliteTable(
  'resources',
  {
    id: integer('id').primaryKey(),
    key: dictionaryKey(),
    lastSeen: lastSeen(),
    service: text('service').notNull(),
    serviceVersion: text('service_version'),
    instanceId: text('instance_id'),
    keyService: text('key_service').notNull(),
    /** JSON object. */
    attributes: text('attributes').notNull(),
  },
  (table) => [uniqueIndex('resources_by_key').on(table.key)],
);

/** Bounded label values that occur together, as text columns and, with their JSON types, in `labels`. */
export const attributeSets = sqliteTable(
  'attribute_sets',
  {
    id: integer('id').primaryKey(),
    key: dictionaryKey(),
    lastSeen: lastSeen(),
    type: integer('type').notNull(),
    /** 1, 0, or the text that was sent. */
    success: numeric('success'),
    method: text('method'),
    server: text('server'),
    toolName: text('tool_name'),
    serverName: text('server_name'),
    serverPath: text('server_path'),
    errorCode: text('error_code'),
    flowStep: text('flow_step'),
    operation: text('operation'),
    resourceType: text('resource_type'),
    endpoint: text('endpoint'),
    statusCode: text('status_code'),
    healthy: numeric('healthy'),
    metricName: text('metric_name'),
    /** JSON object of the dimensions that this set stands for. */
    labels: text('labels').notNull(),
  },
  (table) => [
    uniqueIndex('attribute_sets_by_key').on(table.key),
    index('attribute_sets_by_success').on(table.type, table.success),
    index('attribute_sets_by_method').on(table.type, table.method),
    index('attribute_sets_by_tool').on(table.type, table.toolName),
  ],
);

/** MCP clients of tool executions, apart from the attribute sets so that the two do not multiply. */
export const clients = sqliteTable(
  'clients',
  {
    id: integer('id').primaryKey(),
    key: dictionaryKey(),
    lastSeen: lastSeen(),
    clientName: text('client_name'),
    clientVersion: text('client_version'),
    /** JSON object of the dimensions that this client stands for. */
    labels: text('labels').notNull(),
  },
  (table) => [uniqueIndex('clients_by_key').on(table.key), index('clients_by_name').on(table.clientName)],
);

/** Where each dimension and metadata field of an event lies: JSON objects of name → source (see encode-event.ts). */
export const shapes = sqliteTable(
  'shapes',
  {
    id: integer('id').primaryKey(),
    key: dictionaryKey(),
    lastSeen: lastSeen(),
    dimensions: text('dimensions').notNull(),
    metadata: text('metadata').notNull(),
  },
  (table) => [uniqueIndex('shapes_by_key').on(table.key)],
);

/** Events per type, kept in the same transaction, so that nothing has to count them. */
export const eventCounts = sqliteTable('event_counts', {
  type: integer('type').primaryKey(),
  count: integer('count').notNull(),
  /** Cleanup has taken events before this time (milliseconds): rollups of then can no longer be made anew. */
  deletedBefore: integer('deleted_before').notNull().default(0),
});

/** The labels that rollups are kept by. `key` as in the dictionaries; never private. */
export const rollupSeries = sqliteTable(
  'rollup_series',
  {
    id: integer('id').primaryKey(),
    key: dictionaryKey().notNull(),
    lastSeen: lastSeen(),
    type: integer('type').notNull(),
    /** Null in the row that takes what is beyond the cap on rows per bucket, as are its labels. */
    service: text('service'),
    success: numeric('success'),
    method: text('method'),
    server: text('server'),
    toolName: text('tool_name'),
    serverName: text('server_name'),
    clientName: text('client_name'),
    errorCode: text('error_code'),
    flowStep: text('flow_step'),
    operation: text('operation'),
    resourceType: text('resource_type'),
    endpoint: text('endpoint'),
    statusCode: text('status_code'),
    healthy: numeric('healthy'),
    metricName: text('metric_name'),
    overflow: integer('overflow', { mode: 'boolean' }).notNull(),
  },
  (table) => [uniqueIndex('rollup_series_by_key').on(table.key)],
);

const rollupColumns = () => ({
  /** Start of the hour or day, milliseconds since the Unix epoch, UTC. */
  bucket: integer('bucket').notNull(),
  seriesId: integer('series_id').notNull(),
  count: integer('count').notNull(),
  sum: real('sum').notNull(),
  min: real('min').notNull(),
  max: real('max').notNull(),
  /** Events that carry a duration (protocol_latency: all, its value being one). */
  durationCount: integer('duration_count').notNull(),
  durationSumMs: real('duration_sum_ms').notNull(),
  durationMinMs: real('duration_min_ms'),
  durationMaxMs: real('duration_max_ms'),
  /** JSON object: bucket index i → observations in [2^(i/4), 2^((i+1)/4)) ms; see histogram.ts. */
  histogram: text('histogram').notNull(),
});

/** In the migration both are WITHOUT ROWID, which drizzle-kit cannot say: keep that when it makes them anew. */
export const rollupHourly = sqliteTable('rollup_hourly', rollupColumns(), (table) => [
  primaryKey({ columns: [table.bucket, table.seriesId] }),
]);
export const rollupDaily = sqliteTable('rollup_daily', rollupColumns(), (table) => [
  primaryKey({ columns: [table.bucket, table.seriesId] }),
]);

/** Rows of each rollup table, kept by triggers, so that nothing has to count them. */
export const rollupCounts = sqliteTable('rollup_counts', {
  tableName: text('table_name').primaryKey(),
  count: integer('count').notNull(),
});

/** The one row that every transaction reads: how far the journal is written, and whether caches still hold. */
export const writerState = sqliteTable('writer_state', {
  id: integer('id').primaryKey(),
  journalId: text('journal_id'),
  sequence: integer('sequence').notNull(),
  count: integer('count').notNull(),
  /** Raised when dictionary rows are removed: what another process remembers of them is void then. */
  dictionaryGeneration: integer('dictionary_generation').notNull(),
  /** Raised by triggers when keys change in anything but their use. */
  keyGeneration: integer('key_generation').notNull(),
});

/** API keys: of the secret only the SHA-256. Times are milliseconds since the Unix epoch. */
export const apiKeys = sqliteTable(
  'api_keys',
  {
    id: text('id').primaryKey(),
    sha256: text('sha256').notNull(),
    service: text('service').notNull(),
    description: text('description').notNull(),
    /** JSON array. */
    scopes: text('scopes').notNull(),
    requestsPerMinute: real('requests_per_minute'),
    origin: text('origin').notNull(),
    createdAt: integer('created_at').notNull(),
    expiresAt: integer('expires_at'),
    revokedAt: integer('revoked_at'),
    /** `operator`, or `environment`: then the key comes back with its variable. */
    revokedBy: text('revoked_by'),
    lastUsedAt: integer('last_used_at'),
    usageCount: integer('usage_count').notNull().default(0),
  },
  (table) => [uniqueIndex('api_keys_by_sha256').on(table.sha256), index('api_keys_by_service').on(table.service)],
);

export const retentionPolicies = sqliteTable('retention_policies', {
  tableName: text('table_name').primaryKey(),
  retentionDays: integer('retention_days').notNull(),
  isActive: integer('is_active', { mode: 'boolean' }).notNull(),
  /** False while the days follow METRICS_RETENTION_DAYS, true once an operator has set them. */
  isCustom: integer('is_custom', { mode: 'boolean' }).notNull(),
  updatedAt: integer('updated_at').notNull(),
});

/** Where an import of the replaced service's database has come to: one row per slice, so that a copy or a later state of it is known again. */
export const importAnchors = sqliteTable(
  'import_anchors',
  {
    id: integer('id').primaryKey(),
    /** Anchors of one import have the same number. */
    lineage: integer('lineage').notNull(),
    sourceTable: text('source_table').notNull(),
    /** Highest id of the source that is imported; `digest` is the SHA-256 of that row. */
    sourceId: integer('source_id').notNull(),
    digest: text('digest').notNull(),
  },
  (table) => [uniqueIndex('import_anchors_by_row').on(table.sourceTable, table.sourceId, table.digest)],
);
