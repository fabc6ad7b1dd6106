/** What a gateway kept of a load: events by id in SQLite, sums by client in the totals. */
import Database from 'better-sqlite3';
import { readSamples, sumOf } from './books.ts';
import type { RunningGateway } from './gateway.ts';
import { waitFor } from './wait-for.ts';

export interface Comparison {
  /** Answered 200 and not in SQLite. */
  readonly lost: readonly string[];
  /** In SQLite more than once. */
  readonly doubled: readonly string[];
  /** Events by client, in SQLite. */
  readonly stored: Readonly<Record<string, number>>;
}

/** Holds the database against the ids that were acknowledged. */
export function compareStored(databasePath: string, acknowledged: Iterable<string>): Comparison {
  const database = new Database(databasePath, { readonly: true });
  const rows = database
    .prepare(
      `SELECT json_extract(metadata, '$.event_id') AS id, json_extract(dimensions, '$.metric_name') AS client, count(*) AS times
       FROM metrics GROUP BY 1, 2`,
    )
    .all() as { id: string; client: string; times: number }[];
  database.close();
  const stored: Record<string, number> = {};
  for (const { client, times } of rows) stored[client] = (stored[client] ?? 0) + times;
  const ids = new Set(rows.map(({ id }) => id));
  return {
    lost: [...acknowledged].filter((id) => !ids.has(id)),
    doubled: rows.filter(({ times }) => times > 1).map(({ id }) => id),
    stored,
  };
}

/** The totals' count of events by `metric_name`, for the names that SQLite knows. */
export function totalsOf(scrape: string, names: Iterable<string>): Record<string, number> {
  const samples = readSamples(scrape);
  const totals: Record<string, number> = {};
  for (const name of names) {
    const sum = sumOf(samples, 'mcp_custom_total', { metric_name: name });
    if (sum > 0) totals[name] = sum;
  }
  return totals;
}

/** Returns the page once no sink has anything left to take. */
export const settledScrape = (gateway: RunningGateway, deadlineMs = 60_000): Promise<string> =>
  waitFor(
    'every sink to have everything',
    async () => {
      await gateway.flush();
      const page = await gateway.scrape();
      return sumOf(readSamples(page), 'mcp_gateway_sink_queued') === 0 ? page : undefined;
    },
    { deadlineMs },
  );
