/**
 * Load from several clients with distinct event ids while the gateway is killed with SIGKILL at random instants and
 * started again at once; then the proof: every id that was answered 200 is in SQLite once and in the totals once.
 */
import { randomInt } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import Database from 'better-sqlite3';
import { imbalances, readSamples, sumOf } from '../support/books.ts';
import { freePort } from '../support/free-port.ts';
import { type RunningGateway, spawnGateway, untilReady } from '../support/gateway.ts';
import { waitFor } from '../support/wait-for.ts';

export interface KillRunOptions {
  readonly kills: number;
  readonly clients?: number;
  readonly env?: Readonly<Record<string, string>>;
}

export interface KillRunResult {
  readonly kills: number;
  /** Kills before the gateway was ready: during recovery, migration or start. */
  readonly killsBeforeReady: number;
  /** Ids that were answered 200. */
  readonly acknowledged: number;
  /** Answered 200 and not in SQLite. */
  readonly lost: readonly string[];
  /** In SQLite more than once. */
  readonly doubled: readonly string[];
  /** Stored events by client, from SQLite, and the totals' count of the same. */
  readonly stored: Readonly<Record<string, number>>;
  readonly totals: Readonly<Record<string, number>>;
  readonly imbalances: readonly string[];
}

export async function killRun({ kills, clients = 4, env = {} }: KillRunOptions): Promise<KillRunResult> {
  const dataDirectory = await mkdtemp(join(tmpdir(), 'kill-'));
  const ports = { port: await freePort(), scrapePort: await freePort() };
  const options = { dataDirectory, ...ports, key: 'kill-run-key', env: { FLUSH_INTERVAL_SECONDS: '0.2', ...env } };
  const acknowledged = new Set<string>();
  let over = false;

  const client = async (name: string): Promise<void> => {
    for (let batch = 0; !over; batch += 1) {
      const ids = Array.from({ length: randomInt(1, 12) }, (_, index) => `${name}-${batch}-${index}`);
      const metrics = ids.map((id) => ({
        type: 'custom',
        value: 1,
        duration_ms: 1,
        dimensions: { metric_name: name },
        metadata: { event_id: id },
      }));
      try {
        const response = await fetch(`http://127.0.0.1:${ports.port}/metrics`, {
          method: 'POST',
          headers: { 'content-type': 'application/json', 'x-api-key': options.key },
          body: JSON.stringify({ service: 'kill-run', metrics }),
          signal: AbortSignal.timeout(5000),
        });
        const answer = (await response.json()) as { accepted?: number };
        if (response.status === 200 && answer.accepted === ids.length) for (const id of ids) acknowledged.add(id);
        else if (response.status !== 503)
          throw new Error(`unexpected answer ${response.status}: ${JSON.stringify(answer)}`);
      } catch (error) {
        if (error instanceof Error && error.message.startsWith('unexpected')) throw error;
        await sleep(10);
      }
    }
  };

  const names = Array.from({ length: clients }, (_, index) => `client${index}`);
  let killsBeforeReady = 0;
  const load = Promise.all(names.map(client));
  load.catch(() => {});
  try {
    for (let kill = 0; kill < kills; kill += 1) {
      const gateway = await spawnGateway(options);
      // One in four dies while it starts: in recovery, in the first migration, before it listens.
      if (kill % 4 === 3) await sleep(randomInt(50, 700));
      else {
        await untilReady(gateway);
        await sleep(randomInt(0, 600));
      }
      if (!(await answers(gateway))) killsBeforeReady += 1;
      await gateway.stop('SIGKILL');
    }
    const gateway = await spawnGateway(options);
    await untilReady(gateway);
    over = true;
    await load;
    await gateway.flush();
    await waitFor(
      'every sink to have everything',
      async () => sumOf(readSamples(await gateway.scrape()), 'mcp_gateway_sink_queued') === 0,
    );
    const scrape = await gateway.scrape();
    const samples = readSamples(scrape);
    await gateway.stop();
    return {
      kills,
      killsBeforeReady,
      acknowledged: acknowledged.size,
      ...inspect(gateway.databasePath, acknowledged),
      totals: Object.fromEntries(
        names.map((name) => [name, sumOf(samples, 'mcp_custom_total', { metric_name: name })]),
      ),
      imbalances: imbalances(scrape),
    };
  } finally {
    over = true;
    await rm(dataDirectory, { recursive: true, force: true });
  }
}

const answers = async (gateway: RunningGateway): Promise<boolean> => {
  try {
    return (await fetch(`${gateway.url}/readyz`, { signal: AbortSignal.timeout(200) })).ok;
  } catch {
    return false;
  }
};

function inspect(path: string, acknowledged: ReadonlySet<string>): Pick<KillRunResult, 'lost' | 'doubled' | 'stored'> {
  const database = new Database(path, { readonly: true });
  const rows = database
    .prepare(
      `SELECT json_extract(metadata, '$.event_id') AS id, json_extract(dimensions, '$.metric_name') AS client, count(*) AS times FROM metrics GROUP BY 1, 2`,
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
