/** Answers a question by name: picks the rollups or rows that it needs, and puts the answer into one form. */
import type Database from 'better-sqlite3';
import type { MetricType } from '../../core/metric.ts';
import { COLUMNS, ROLLUP_LABELS, typeNumber } from './columns.ts';
import { breakdown, type BreakdownOptions } from './queries/breakdown.ts';
import { overTime } from './queries/over-time.ts';
import { type Cursor, filtersOf, rawEvents, userEvents } from './queries/raw-events.ts';
import { type RollupLabel, type RollupRange, widen } from './queries/rollup-reader.ts';
import { trend } from './queries/trend.ts';
import { InvalidQuery } from './errors.ts';
import type { QueryName, QueryParameters } from './query-names.ts';
import type { RetentionPolicy } from './retention-policies.ts';

export interface QueryAnswer {
  readonly query: QueryName;
  /** The range that the answer covers: rollups are read by whole hours or days. */
  readonly from: string;
  readonly to: string;
  readonly rows: readonly object[];
  /** Rows there are in all, where that is known without reading them. */
  readonly total?: number;
  /** Hand it back as `after` for the next page. */
  readonly next?: string;
  /** What is said beside the rows. */
  readonly summary?: object;
}

/** An answer as bytes, made where it was read: 1,000 events cost whoever writes them as JSON some 5 ms. */
export interface WrittenAnswer extends Pick<QueryAnswer, 'total' | 'next'> {
  /** UTF-8. `answer`: the whole of it as JSON; `lines`: its rows alone, a line each. */
  readonly bytes: Uint8Array<ArrayBuffer>;
  readonly rows: number;
}

export type AnswerForm = 'answer' | 'lines';

export interface QueryContext {
  readonly db: Database.Database;
  readonly path: string;
  readonly now: number;
  readonly policies: readonly RetentionPolicy[];
}

/** The label that says what failed or succeeded, where no other is asked for. */
const MAIN_LABEL: Readonly<Record<MetricType, RollupLabel | 'service'>> = {
  auth_request: 'server',
  tool_execution: 'tool_name',
  tool_discovery: 'service',
  protocol_latency: 'flow_step',
  registry_operation: 'operation',
  health_check: 'endpoint',
  custom: 'metric_name',
};

const DAYS_PER_TREND = 30;
const HORIZON_DAYS = 365;

/** Of every question. */
const ALWAYS = ['from', 'to', 'limit'];
const ROLLED = ['offset', 'service', ...ROLLUP_LABELS];
/** What each question takes besides; an answer that passed over a filter would be taken for one that had obeyed it. */
const TAKES: Readonly<Record<Exclude<QueryName, 'events'>, readonly string[]>> = {
  'top-tools': ['order', ...ROLLED],
  'top-servers': ['order', ...ROLLED],
  'top-clients': ['order', ...ROLLED],
  'success-rates': ['type', 'by', 'order', ...ROLLED],
  flows: ['by', 'order', ...ROLLED],
  errors: ['type', 'by', ...ROLLED],
  latency: ['type', 'step', ...ROLLED],
  requests: ['type', 'step', ...ROLLED],
  user: ['user_hash', 'after'],
  trend: ['days', 'horizon_days', 'limit_bytes'],
};

/** @throws InvalidQuery where a parameter that the question needs is missing, or one does not fit it */
export function runQuery(name: QueryName, parameters: QueryParameters, context: QueryContext): QueryAnswer {
  if (name !== 'events') {
    const takes = [...ALWAYS, ...TAKES[name]];
    const unfit = Object.keys(parameters).find((given) => !takes.includes(given));
    if (unfit !== undefined) throw new InvalidQuery(`${unfit}: ${name} does not take it; it takes ${takes.join(', ')}`);
  }
  const { limit = 20, offset = 0 } = parameters;
  const { db } = context;

  const byLabel = (
    type: MetricType | undefined,
    by: BreakdownOptions['by'],
    more: Partial<BreakdownOptions> = {},
  ): QueryAnswer => {
    const range = rangeOf(parameters, type);
    const { rows, total } = breakdown(db, {
      ...range,
      by,
      onlyNamed: true,
      order: parameters.order ?? 'count',
      limit,
      offset,
      ...more,
    });
    return answer(name, widen(range), rows, { total });
  };

  switch (name) {
    case 'top-tools':
      return byLabel('tool_execution', ['tool_name']);
    case 'top-servers':
      return byLabel('tool_execution', ['server_name']);
    case 'top-clients':
      return byLabel('tool_execution', ['client_name']);
    case 'success-rates': {
      const type = parameters.type ?? 'tool_execution';
      return byLabel(type, [parameters.by ?? MAIN_LABEL[type]]);
    }
    case 'flows':
      return byLabel('protocol_latency', parameters.by === undefined ? ['flow_step', 'server_name'] : [parameters.by]);
    case 'errors': {
      if (parameters.success === 1) {
        throw new InvalidQuery('success: errors is about success=false alone; leave it out, or ask success-rates');
      }
      const range = rangeOf(parameters, parameters.type);
      const { rows, total } = breakdown(db, {
        ...range,
        labels: { ...range.labels, success: 0 },
        by: ['error_code', ...(parameters.by === undefined ? [] : [parameters.by])],
        onlyNamed: false,
        order: 'count',
        limit,
        offset,
      });
      return answer(name, widen(range), rows, { total });
    }
    case 'latency':
    case 'requests': {
      const type = name === 'latency' ? (parameters.type ?? 'tool_execution') : parameters.type;
      const step = parameters.step ?? (parameters.to - parameters.from > 7 * 86_400_000 ? 'day' : 'hour');
      const range = { ...rangeOf(parameters, type), step };
      const { rows, total } = overTime(db, { ...range, limit: parameters.limit ?? 1000, offset });
      return answer(name, widen(range), rows, { total });
    }
    case 'user': {
      if (parameters.user_hash === undefined) throw new InvalidQuery('user_hash: say whose activity');
      const page = userEvents(db, parameters.user_hash, { ...pageOf(parameters), limit });
      return answer(name, parameters, page.rows, nextOf(page.next));
    }
    case 'events': {
      const { view = 'metrics' } = parameters;
      const filters: Record<string, string | number> = {};
      for (const [filter, value] of Object.entries(parameters)) {
        if (NO_FILTERS.has(filter) || value === undefined) continue;
        if (!filtersOf(view).includes(filter)) {
          throw new InvalidQuery(`${filter}: ${view} is not picked by it; it is by ${filtersOf(view).join(', ')}`);
        }
        filters[filter] = value;
      }
      const page = rawEvents(db, { ...pageOf(parameters), view, filters, limit });
      return answer(name, parameters, page.rows, nextOf(page.next));
    }
    case 'trend': {
      const { limit_bytes: limitBytes } = parameters;
      const { rows, ...summary } = trend(db, context.path, {
        now: context.now,
        policies: context.policies,
        days: parameters.days ?? DAYS_PER_TREND,
        horizonDays: parameters.horizon_days ?? HORIZON_DAYS,
        ...(limitBytes === undefined ? undefined : { limitBytes }),
      });
      const from = Date.parse(rows[0]?.day ?? '') || context.now;
      return answer(name, { from, to: context.now }, rows, { summary });
    }
    default:
      throw new InvalidQuery(`${String(name satisfies never)}: no such query`);
  }
}

/** Parameters that say how, not which. */
const NO_FILTERS: ReadonlySet<string> = new Set(['from', 'to', 'limit', 'after', 'view']);

function rangeOf(parameters: QueryParameters, type: MetricType | undefined): RollupRange {
  const labels: Partial<Record<RollupLabel, string | number>> = {};
  for (const label of ROLLUP_LABELS) {
    const value = (parameters as Readonly<Record<string, unknown>>)[label];
    if (typeof value !== 'string' && typeof value !== 'number') continue;
    if (type !== undefined && label !== 'client_name' && !COLUMNS[type].labels.includes(label)) {
      throw new InvalidQuery(`${label}: ${type} has no such label; it has ${COLUMNS[type].labels.join(', ')}`);
    }
    labels[label] = value;
  }
  return {
    from: parameters.from,
    to: parameters.to,
    ...(type === undefined ? undefined : { types: [typeNumber(type)] }),
    ...(parameters.service === undefined ? undefined : { service: parameters.service }),
    ...(Object.keys(labels).length === 0 ? undefined : { labels }),
  };
}

const answer = (
  query: QueryName,
  { from, to }: { readonly from: number; readonly to: number },
  rows: readonly object[],
  rest: Pick<QueryAnswer, 'total' | 'next' | 'summary'>,
): QueryAnswer => ({ query, from: new Date(from).toISOString(), to: new Date(to).toISOString(), rows, ...rest });

function pageOf({ from, to, after }: QueryParameters): { from: number; to: number; after?: Cursor } {
  const match = /^(\d+)-(\d+)$/.exec(after ?? '');
  return match === null ? { from, to } : { from, to, after: { timestamp: Number(match[1]), id: Number(match[2]) } };
}

const nextOf = (next: Cursor | undefined): { next: string } | object =>
  next === undefined ? {} : { next: `${next.timestamp}-${next.id}` };

export function writeAnswer(answer: QueryAnswer, form: AnswerForm): WrittenAnswer {
  const { rows, total, next } = answer;
  const text = form === 'answer' ? JSON.stringify(answer) : rows.map((row) => `${JSON.stringify(row)}\n`).join('');
  return {
    bytes: new TextEncoder().encode(text),
    rows: rows.length,
    ...(total !== undefined && { total }),
    ...(next !== undefined && { next }),
  };
}
