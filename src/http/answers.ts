/** The shapes of all answers, as schemas: the OpenAPI document is made from them, and tests hold the answers to them. */
import * as v from 'valibot';
import { REFUSALS, type RefusalCode } from '../core/refusal.ts';
import { parseTimestamp } from '../core/timestamp.ts';
import { RETENTION_TABLES } from '../sinks/sqlite/retention-policies.ts';

const count = v.pipe(v.number(), v.integer(), v.minValue(0));
const days = v.pipe(v.number(), v.integer(), v.minValue(1), v.maxValue(3650));
const seconds = v.pipe(v.number(), v.minValue(0));
const time = v.pipe(v.string(), v.isoTimestamp());
const says = <Input>(text: string) => v.description<Input, string>(text);

export const REQUEST_ID = v.pipe(v.string(), v.regex(/^req_[0-9a-f]{32}$/));

export const Receipt = v.object({
  status: v.pipe(v.picklist(['success', 'partial']), says('partial where single metrics were rejected')),
  accepted: v.pipe(count, says('metrics that are durable')),
  rejected: v.pipe(count, says('metrics that were turned away one by one')),
  dropped: v.optional(v.pipe(count, says("metrics left out by a stage of this gateway's own, absent for none"))),
  errors: v.pipe(v.array(v.string()), v.maxLength(100), says('path: message, the first 100')),
  errors_omitted: v.optional(v.pipe(count, says('errors beyond those, absent for none'))),
  warnings: v.array(v.string()),
  request_id: REQUEST_ID,
});

/** RFC 9457. A refused body carries `accepted`, `rejected`, `errors` and `warnings` as well. */
export const Problem = v.looseObject({
  type: v.pipe(v.string(), says('urn:mcp-metrics:problem:<code>')),
  title: v.string(),
  status: v.pipe(v.number(), v.integer(), says('the HTTP status')),
  detail: v.pipe(v.string(), says('what was wrong, and what to do')),
  code: v.picklist(Object.keys(REFUSALS) as [RefusalCode, ...RefusalCode[]]),
  request_id: REQUEST_ID,
});

export const About = v.object({
  service: v.string(),
  version: v.string(),
  status: v.literal('running'),
  endpoints: v.pipe(v.record(v.string(), v.string()), says('name → path')),
});

export const Health = v.object({
  status: v.picklist(['healthy', 'degraded']),
  service: v.string(),
  version: v.string(),
  problems: v.optional(v.array(v.string())),
});

export const Live = v.object({ status: v.literal('live') });

export const Ready = v.object({
  status: v.picklist(['ready', 'not ready']),
  problems: v.optional(v.pipe(v.array(v.string()), says('one line per part that is not up'))),
});

export const Done = v.object({ status: v.literal('success'), message: v.string() });

export const RateLimit = v.object({
  service: v.string(),
  rate_limit: v.pipe(v.number(), says('requests a minute')),
  available_tokens: v.pipe(count, says('requests that may be sent now')),
  reset_time_seconds: v.pipe(count, says('until the bucket is full')),
});

const SCOPES = v.pipe(v.array(v.picklist(['ingest', 'read', 'admin'])), v.minLength(1));

export const Key = v.object({
  id: v.pipe(v.string(), says('public; the secret is never shown again')),
  service: v.string(),
  description: v.string(),
  scopes: SCOPES,
  requests_per_minute: v.pipe(v.nullable(v.number()), says('null: the default of the pipeline')),
  origin: v.picklist(['created', 'environment', 'imported']),
  state: v.picklist(['active', 'expired', 'revoked']),
  created_at: time,
  expires_at: v.nullable(time),
  revoked_at: v.nullable(time),
  last_used_at: v.nullable(time),
  usage_count: count,
});
export const KeyList = v.object({ keys: v.array(Key) });
export const KeyWithSecret = v.object({
  key: Key,
  secret: v.pipe(v.string(), says('shown this once; only its SHA-256 is stored')),
});

/** All but control characters, in a pattern that JSON Schema has too: without flags. */
const ONE_LINE = /^[ -~\u00a0-\uffff]*$/;
const A_TIME = 'expected a time with an offset, such as 2027-01-31T12:00:00Z';
const keyFields = {
  description: v.optional(
    v.pipe(v.string(), v.maxLength(500), v.regex(ONE_LINE, 'expected one line of text without control characters')),
  ),
  scopes: v.optional(v.pipe(SCOPES, says('the same one twice counts once'))),
  requests_per_minute: v.optional(
    v.pipe(
      v.nullable(v.pipe(v.number(), v.integer(), v.minValue(1), v.maxValue(1_000_000))),
      says('null: the default'),
    ),
  ),
  expires_at: v.optional(
    v.pipe(
      v.nullable(
        v.pipe(
          v.string(),
          v.isoTimestamp(A_TIME),
          v.check((text) => Number.isFinite(parseTimestamp(text)), A_TIME),
        ),
      ),
      says('from then on it is refused; null: never'),
    ),
  ),
};
export const NewKey = v.strictObject({
  service: v.pipe(v.string(), v.regex(/^[A-Za-z0-9_-]+$/), v.maxLength(100)),
  ...keyFields,
});
export const KeyChange = v.strictObject(keyFields);
export const Rotation = v.strictObject({
  overlap_seconds: v.optional(
    v.pipe(
      v.number(),
      v.integer(),
      v.minValue(0),
      v.maxValue(2_592_000),
      says('how long the old key works beside the new one; default 86400'),
    ),
  ),
});

export const Policy = v.object({
  table_name: v.string(),
  retention_days: days,
  is_active: v.boolean(),
  timestamp_column: v.string(),
});
export const Policies = v.pipe(v.record(v.string(), Policy), says('by table'));
export const PolicyChange = v.strictObject({ retention_days: v.optional(days), is_active: v.optional(v.boolean()) });
export const PolicyChanged = v.object({
  status: v.literal('success'),
  message: v.string(),
  table_name: v.string(),
  retention_days: days,
  is_active: v.boolean(),
});

const table = v.picklist(RETENTION_TABLES);

export const OneTable = v.strictObject({ table_name: v.optional(table) });
export const Previews = v.pipe(
  v.record(
    v.string(),
    v.object({
      retention_days: count,
      records_to_delete: count,
      total_records: count,
      oldest_record_to_delete: v.nullable(time),
      newest_record_to_delete: v.nullable(time),
      cutoff_date: v.pipe(v.nullable(time), says('null where no active policy reaches the table')),
      percentage_to_delete: v.number(),
    }),
  ),
  says('by table'),
);

export const CleanupRequest = v.strictObject({
  table_name: v.optional(table),
  dry_run: v.optional(v.pipe(v.boolean(), says('only tell what would be deleted; default false'))),
});
const hold = v.pipe(v.number(), v.minValue(0), says('the longest time for which the writer was held, in milliseconds'));
const CleanedTable = v.object({
  table,
  longest_hold_ms: v.optional(hold),
  status: v.pipe(
    v.picklist(['completed', 'cancelled', 'inactive']),
    says('inactive where no active policy reaches the table'),
  ),
  records_deleted: count,
  records_to_delete: v.pipe(count, says('those that there were at the start')),
  duration_seconds: seconds,
  retention_days: count,
  dry_run: v.boolean(),
});
const CleanedTables = v.object({
  status: v.picklist(['completed', 'cancelled']),
  tables: v.record(v.string(), CleanedTable),
  total_records_deleted: v.pipe(count, says('a row that two tables show counts once')),
  duration_seconds: seconds,
  longest_hold_ms: hold,
  dry_run: v.boolean(),
});
export const Cleaned = v.union([CleanedTable, CleanedTables]);

export const DatabaseStats = v.pipe(
  v.record(
    v.string(),
    v.object({
      record_count: count,
      oldest_record: v.nullable(time),
      newest_record: v.nullable(time),
      has_retention_policy: v.boolean(),
      retention_days: count,
      policy_active: v.boolean(),
    }),
  ),
  says('by table'),
);

export const DatabaseSize = v.object({
  main_db_bytes: count,
  main_db_mb: v.number(),
  wal_bytes: count,
  wal_mb: v.number(),
  total_bytes: count,
  total_mb: v.number(),
  total_gb: v.number(),
  page_count: count,
  page_size: count,
  free_pages: count,
  used_pages: count,
  database_efficiency: v.pipe(v.number(), says('pages in use, percent')),
});

export const QueryCatalog = v.object({
  queries: v.array(v.object({ name: v.string(), path: v.string(), description: v.string() })),
});
export const QueryAnswer = v.looseObject({
  query: v.string(),
  from: v.pipe(time, says('the range that the answer covers: rollups are read by whole hours or days')),
  to: time,
  rows: v.array(v.record(v.string(), v.unknown())),
  total: v.optional(v.pipe(count, says('rows in all, where that is known without reading them'))),
  next: v.optional(v.pipe(v.string(), says('give it as after for the next page'))),
});

/** By the name that the OpenAPI document refers to. */
export const ANSWERS = {
  Receipt,
  Problem,
  About,
  Health,
  Live,
  Ready,
  Done,
  RateLimit,
  Key,
  KeyList,
  KeyWithSecret,
  Policies,
  PolicyChanged,
  Previews,
  Cleaned,
  DatabaseStats,
  DatabaseSize,
  QueryCatalog,
  QueryAnswer,
} as const;
export type AnswerName = keyof typeof ANSWERS;
