/** The questions that can be asked by name, with what each takes: one table for HTTP and the command line. */
import * as v from 'valibot';
import { METRIC_TYPES } from '../../core/metric.ts';
import { parseTimestamp } from '../../core/timestamp.ts';
import { InvalidQuery } from './errors.ts';

/** The names, with a sentence for help texts and OpenAPI. */
export const QUERIES = {
  'top-tools': 'Tools by number of executions, with success rate and latency',
  'top-servers': 'MCP servers by number of tool executions',
  'top-clients': 'MCP clients by number of tool executions',
  'success-rates': 'Success rate by a label (by), of one metric type (type)',
  latency: 'Latency percentiles over time, of one metric type (type)',
  flows: 'Latency of the protocol flow steps by server',
  user: 'Authentications and tool executions of one user hash (user_hash), newest first',
  errors: 'Failures by error code',
  requests: 'Metrics by hour or day',
  trend: 'Metrics a day, database growth, and when the limit is reached at this rate',
  events: 'Single metrics, newest first (view, and filters by column)',
} as const;
export type QueryName = keyof typeof QUERIES;

/** Answered from single rows; the others are from rollups. */
export const isAboutRows = (name: QueryName): boolean => name === 'events' || name === 'user';

export const isQueryName = (name: string): name is QueryName => Object.hasOwn(QUERIES, name);

const HOUR_MS = 3_600_000;
const UNITS: Readonly<Record<string, number>> = { m: 60_000, h: HOUR_MS, d: 24 * HOUR_MS, w: 168 * HOUR_MS };

/** `2026-01-31`, an ISO 8601 time, milliseconds since the Unix epoch, or an age such as `24h`, `7d`, `2w`. */
function readTime(text: string, now: number): number {
  const age = /^(\d{1,6})([mhdw])$/.exec(text);
  if (age !== null) return now - Number(age[1]) * UNITS[age[2]!]!;
  if (/^\d{9,15}$/.test(text)) return Number(text);
  return parseTimestamp(/^\d{4}-\d\d-\d\d$/.test(text) ? `${text}T00:00:00Z` : text);
}

const whole = (min: number, max: number) =>
  v.pipe(
    v.union([v.number(), v.pipe(v.string(), v.regex(/^\d{1,15}$/), v.transform(Number))]),
    v.integer(),
    v.minValue(min),
    v.maxValue(max),
  );
const text = v.pipe(v.string(), v.maxLength(200));
const label = v.union([text, v.pipe(v.number(), v.transform(String))]);
const outcome = v.pipe(
  v.union([v.picklist(['true', 'false', '1', '0']), v.boolean()]),
  v.transform((value) => (value === true || value === 'true' || value === '1' ? 1 : 0)),
);

/** All parameters of all queries; each query takes those that mean something to it, and refuses the others. */
export const PARAMETERS = v.object({
  from: v.optional(text),
  to: v.optional(text),
  service: v.optional(text),
  type: v.optional(v.picklist(METRIC_TYPES)),
  by: v.optional(
    v.picklist([
      'service',
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
      'metric_name',
    ]),
  ),
  order: v.optional(v.picklist(['count', 'failures', 'p95_ms'])),
  step: v.optional(v.picklist(['hour', 'day'])),
  limit: v.optional(whole(1, 1000)),
  offset: v.optional(whole(0, 1_000_000)),
  after: v.optional(v.pipe(text, v.regex(/^\d{1,15}-\d{1,15}$/))),
  user_hash: v.optional(text),
  view: v.optional(v.picklist(['metrics', 'auth_metrics', 'tool_metrics', 'discovery_metrics', 'protocol_metrics'])),
  metric_type: v.optional(v.picklist(METRIC_TYPES)),
  success: v.optional(outcome),
  method: v.optional(label),
  server: v.optional(label),
  tool_name: v.optional(label),
  server_name: v.optional(label),
  client_name: v.optional(label),
  error_code: v.optional(label),
  flow_step: v.optional(label),
  session_key: v.optional(label),
  metric_name: v.optional(label),
  results_count: v.optional(
    v.pipe(v.union([v.number(), v.pipe(v.string(), v.regex(/^-?\d{1,10}$/), v.transform(Number))]), v.integer()),
  ),
  days: v.optional(whole(1, 1095)),
  horizon_days: v.optional(whole(1, 1095)),
  limit_bytes: v.optional(whole(1, Number.MAX_SAFE_INTEGER)),
});
export type QueryParameters = Omit<v.InferOutput<typeof PARAMETERS>, 'from' | 'to'> & {
  readonly from: number;
  readonly to: number;
};

/**
 * Reads parameters as they come from a query string, a JSON body or the command line. Without times: the last 24 hours.
 * @throws InvalidQuery
 */
export function readParameters(raw: Readonly<Record<string, unknown>>, now: number): QueryParameters {
  const unknown = Object.keys(raw).find((name) => !Object.hasOwn(PARAMETERS.entries, name));
  if (unknown !== undefined) {
    throw new InvalidQuery(`${unknown}: no such parameter; there are ${Object.keys(PARAMETERS.entries).join(', ')}`);
  }
  // What came is not told again: it may be a key, pasted into the wrong field.
  const result = v.safeParse(PARAMETERS, raw, {
    message: ({ expected }) => `expected ${expected ?? 'something else'}`,
  });
  if (!result.success) {
    const [issue] = result.issues;
    throw new InvalidQuery(`${v.getDotPath(issue) ?? 'parameters'}: ${issue.message}`);
  }
  const { from = '24h', to, ...rest } = result.output;
  const first = readTime(from, now);
  const end = to === undefined ? now : readTime(to, now);
  for (const [name, time] of [
    ['from', first],
    ['to', end],
  ] as const) {
    if (!Number.isFinite(time)) {
      throw new InvalidQuery(`${name}: expected a time such as 2026-01-31T12:00:00Z, 2026-01-31 or 24h (ago)`);
    }
  }
  if (first >= end) throw new InvalidQuery('from: must lie before to');
  return { ...rest, from: first, to: end };
}
