/** The gateway is killed and started again under a running client: nothing within its buffer is lost, nothing doubled. */
import { randomInt } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import Database from 'better-sqlite3';
import t from 'tap';
import { createMetricsClient } from '../../src/client/index.ts';
import { freePort } from '../support/free-port.ts';
import { startGateway } from '../support/gateway.ts';
import { sumOf } from '../support/prometheus-text.ts';
import { waitFor } from '../support/wait-for.ts';
import { folderOf } from '../support/folder.ts';

t.test('every metric of a client that outlives many gateways is stored once and counted once', async (t) => {
  const options = {
    dataDirectory: folderOf(t),
    port: await freePort(),
    scrapePort: await freePort(),
    key: 'outliving',
    env: { FLUSH_INTERVAL_SECONDS: '0.2' },
  };
  let gateway = await startGateway(options);
  t.teardown(() => gateway.stop('SIGKILL'));
  const warnings: string[] = [];
  const client = createMetricsClient({
    url: gateway.url,
    apiKey: options.key,
    service: 'outliving',
    flushIntervalMs: 20,
    requestTimeoutMs: 2000,
    maxQueueSize: 100_000,
    onWarning: (text) => warnings.push(text),
  });

  let n = 0;
  let over = false;
  const recording = (async () => {
    while (!over) {
      // Nothing is lost within the buffer: on a busy machine it is given time to drain.
      if (client.stats().queued < 50_000)
        for (let i = 0; i < 10; i += 1) client.custom('outliving', { durationMs: 1, metadata: { n: (n += 1) } });
      await sleep(2);
    }
  })();
  const KILLS = 8;
  for (let kill = 0; kill < KILLS; kill += 1) {
    const accepted = client.stats().accepted;
    await waitFor('metrics to flow', () => client.stats().accepted > accepted);
    // A random instant, so that kills fall into every part of a request.
    await sleep(randomInt(100));
    await gateway.stop('SIGKILL');
    gateway = await startGateway(options);
  }
  over = true;
  await recording;
  await client.shutdown({ timeoutMs: 120_000 });
  const stats = client.stats();
  t.comment(`${n} metrics, ${stats.requests} requests, ${stats.retries} of them sent again, ${KILLS} kills`);
  t.match(stats, { recorded: n, accepted: n, rejected: 0, queued: 0, inFlight: 0 });
  t.ok(stats.retries > 0, 'kills were noticed');

  await gateway.flush();
  const database = new Database(gateway.databasePath, { readonly: true });
  t.teardown(() => database.close());
  const [stored, distinct, highest] = database
    .prepare(
      `SELECT count(*), count(DISTINCT metadata ->> 'n'), max(CAST(metadata ->> 'n' AS INTEGER))
       FROM metrics WHERE service = 'outliving'`,
    )
    .raw()
    .get() as [number, number, number];
  t.strictSame({ stored, distinct, highest }, { stored: n, distinct: n, highest: n });
  await waitFor('the totals', async () => {
    return sumOf(await gateway.scrape(), 'mcp_custom_total', { metric_name: 'outliving' }) === n;
  });
});

t.test(
  'a gateway that is away for a while gets all that the buffer holds, and what it does not is counted',
  async (t) => {
    const options = { dataDirectory: folderOf(t), port: await freePort(), scrapePort: await freePort(), key: 'away' };
    const client = createMetricsClient({
      url: `http://127.0.0.1:${options.port}`,
      apiKey: options.key,
      service: 'away',
      flushIntervalMs: 20,
      maxBatchSize: 100,
      maxQueueSize: 1000,
      onWarning: () => {},
    });
    for (let n = 0; n < 3000; n += 1) {
      client.custom('away', { metadata: { n } });
      if (n % 100 === 0) await sleep(1);
    }
    const gateway = await startGateway(options);
    t.teardown(() => gateway.stop('SIGKILL'));
    await client.shutdown({ timeoutMs: 30_000 });
    const { accepted, dropped } = client.stats();
    t.equal(accepted + dropped.overflow, 3000);
    t.ok(accepted >= 1000 && accepted <= 1100, `${accepted} accepted`);
    await gateway.flush();
    const database = new Database(gateway.databasePath, { readonly: true });
    t.teardown(() => database.close());
    const stored = database
      .prepare(`SELECT CAST(metadata ->> 'n' AS INTEGER) FROM metrics WHERE service = 'away' ORDER BY 1`)
      .pluck()
      .all() as number[];
    t.equal(stored.length, accepted);
    t.equal(new Set(stored).size, accepted);
    t.strictSame(
      stored.slice(-1000),
      Array.from({ length: 1000 }, (_, i) => 2000 + i),
      'the newest are kept',
    );
  },
);
