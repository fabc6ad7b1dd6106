/**
 * Load from several clients with distinct event ids while the gateway is killed with SIGKILL at random instants and
 * started again at once; then the proof: every id that was answered 200 is in SQLite once and in the totals once.
 */
import { randomInt } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { imbalances } from '../support/books.ts';
import { freePort } from '../support/free-port.ts';
import { type RunningGateway, spawnGateway, untilReady } from '../support/gateway.ts';
import { startLoad } from '../support/load.ts';
import { compareStored, type Comparison, settledScrape, totalsOf } from '../support/stored.ts';

export interface KillRunOptions {
  readonly kills: number;
  readonly clients?: number;
  /** Metrics per request. */
  readonly metrics?: number | readonly [number, number];
  readonly env?: Readonly<Record<string, string>>;
}

export interface KillRunResult extends Comparison {
  readonly kills: number;
  /** Kills before the gateway was ready: during recovery, migration or start. */
  readonly killsBeforeReady: number;
  /** Ids that were answered 200. */
  readonly acknowledged: number;
  /** The totals' count by client. */
  readonly totals: Readonly<Record<string, number>>;
  readonly imbalances: readonly string[];
  readonly surprises: readonly string[];
}

export async function killRun(options: KillRunOptions): Promise<KillRunResult> {
  const { kills } = options;
  const dataDirectory = await mkdtemp(join(tmpdir(), 'kill-'));
  const ports = { port: await freePort(), scrapePort: await freePort() };
  const env = { FLUSH_INTERVAL_SECONDS: '0.2', ...options.env };
  const gatewayOptions = { dataDirectory, ...ports, key: 'kill-run-key', env };
  const { clients = 4, metrics = [1, 11] } = options;
  const load = startLoad({
    url: `http://127.0.0.1:${ports.port}`,
    key: gatewayOptions.key,
    clients,
    metrics,
    name: 'client',
  });
  let killsBeforeReady = 0;
  try {
    for (let kill = 0; kill < kills; kill += 1) {
      const gateway = await spawnGateway(gatewayOptions);
      // One in four dies while it starts: in recovery, in the first migration, before it listens.
      if (kill % 4 === 3) await sleep(randomInt(50, 700));
      else {
        await untilReady(gateway, 60_000);
        await sleep(randomInt(0, 400));
      }
      if (!(await answers(gateway))) killsBeforeReady += 1;
      await gateway.stop('SIGKILL');
    }
    const gateway = await spawnGateway(gatewayOptions);
    await untilReady(gateway, 60_000);
    await load.stop();
    const scrape = await settledScrape(gateway, 60_000);
    await gateway.stop();
    const compared = compareStored(gateway.databasePath, load.acknowledged());
    return {
      kills,
      killsBeforeReady,
      acknowledged: load.acknowledged().size,
      ...compared,
      totals: totalsOf(scrape, load.names),
      imbalances: imbalances(scrape),
      surprises: load.surprises(),
    };
  } finally {
    await load.stop();
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
