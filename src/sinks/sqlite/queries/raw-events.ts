/** Single events, newest first, page by page: the next page begins where the last one ended, whatever arrives meanwhile. */
import type Database from 'better-sqlite3';

/** Columns that raw events may be picked by, and the views that have them. */
const FILTERS: Readonly<Record<string, readonly string[]>> = {
  metrics: ['service', 'metric_type'],
  auth_metrics: ['service', 'success', 'method', 'server', 'user_hash', 'error_code'],
  tool_metrics: ['service', 'tool_name', 'server_name', 'method', 'client_name', 'success', 'error_code', 'user_hash'],
  discovery_metrics: ['service', 'results_count'],
  protocol_metrics: ['service', 'flow_step', 'server_name', 'user_hash', 'session_key'],
};
export const filtersOf = (view: string): readonly string[] => FILTERS[view] ?? [];

/** The place behind the last row of a page. */
export interface Cursor {
  readonly timestamp: number;
  readonly id: number;
}

const FIRST_STEP_MS = 600_000;

export interface RawOptions {
  readonly view: string;
  readonly from: number;
  readonly to: number;
  readonly filters: Readonly<Record<string, string | number>>;
  readonly limit: number;
  readonly after?: Cursor;
}

export interface RawPage {
  readonly rows: Record<string, unknown>[];
  readonly next?: Cursor;
}

export function rawEvents(db: Database.Database, { view, from, to, filters, limit, after }: RawOptions): RawPage {
  const allowed = filtersOf(view);
  const names = Object.keys(filters);
  const unknown = names.find((name) => !allowed.includes(name));
  if (allowed.length === 0 || unknown !== undefined) throw new TypeError(`${view} has no filter ${unknown ?? ''}`);
  const conditions = ['timestamp >= ?', 'timestamp < ?', ...names.map((name) => `${name} = ?`)];
  const values = Object.values(filters);
  if (after !== undefined) {
    conditions.push('(timestamp, id) < (?, ?)');
    values.push(after.timestamp, after.id);
  }
  // Ids first: what is only sorted away needs no JSON put together.
  const select = db.prepare<(string | number)[], Cursor>(
    `SELECT id, timestamp FROM ${view} WHERE ${conditions.join(' AND ')} ORDER BY timestamp DESC, id DESC LIMIT ?`,
  );
  // From the newest back in growing steps, so that a full page does not wait for the whole range to be sorted.
  const found: Cursor[] = [];
  let end = after === undefined ? to : Math.min(to, after.timestamp + 1);
  for (let width = FIRST_STEP_MS; end > from && found.length <= limit; width *= 4) {
    const begin = Math.max(from, end - width);
    found.push(...select.all(begin, end, ...values, limit + 1 - found.length));
    end = begin;
  }
  const page = found.slice(0, limit);
  const byId = db.prepare<[number], Record<string, unknown>>(`SELECT * FROM ${view} WHERE id = ?`);
  const rows = page.flatMap(({ id }) => {
    const row = byId.get(id);
    return row === undefined ? [] : [withJson(row)];
  });
  const last = page.at(-1);
  return found.length > limit && last !== undefined
    ? { rows, next: { timestamp: last.timestamp, id: last.id } }
    : { rows };
}

/** What a user did, as far as events carry the hash: authentications and tool executions, newest first. */
export function userEvents(
  db: Database.Database,
  userHash: string,
  options: Omit<RawOptions, 'view' | 'filters'>,
): RawPage {
  const filters = { user_hash: userHash };
  const pages = (['auth_metrics', 'tool_metrics'] as const).map((view) => ({
    view,
    page: rawEvents(db, { ...options, view, filters }),
  }));
  const rows = pages
    .flatMap(({ view, page }) =>
      page.rows.map((row) => ({ metric_type: view === 'auth_metrics' ? 'auth_request' : 'tool_execution', ...row })),
    )
    .sort((a: Record<string, unknown>, b: Record<string, unknown>) => {
      const byTime = Number(b['timestamp']) - Number(a['timestamp']);
      return byTime === 0 ? Number(b['id']) - Number(a['id']) : byTime;
    });
  const page: Record<string, unknown>[] = rows.slice(0, options.limit);
  const last = page.at(-1);
  const more = rows.length > options.limit || pages.some(({ page: { next } }) => next !== undefined);
  return more && last !== undefined
    ? { rows: page, next: { timestamp: Number(last['timestamp']), id: Number(last['id']) } }
    : { rows: page };
}

const withJson = (row: Record<string, unknown>): Record<string, unknown> => ({
  ...row,
  dimensions: JSON.parse(String(row['dimensions'])) as unknown,
  metadata: JSON.parse(String(row['metadata'])) as unknown,
});
