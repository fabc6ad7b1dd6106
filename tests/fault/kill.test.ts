/** SIGKILL at random instants under load, and during the recovery of a large backlog. */
import { randomInt } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import Database from 'better-sqlite3';
import t, { type Test } from 'tap';
import { imbalances } from '../support/books.ts';
import { spawnGateway, startGateway } from '../support/gateway.ts';
import { startLoad } from '../support/load.ts';
import { compareStored, settledScrape, totalsOf } from '../support/stored.ts';
import { waitFor } from '../support/wait-for.ts';
import { killRun } from './kill-run.ts';

/** How often the gateway is killed; 200 unless `KILLS` says otherwise. */
const KILLS = Number(process.env['KILLS'] ?? 200);
t.setTimeout(KILLS * 6000 + 300_000);

const temporary = async (t: Test): Promise<string> => {
  const directory = await mkdtemp(join(tmpdir(), 'fault-'));
  t.teardown(() => rm(directory, { recursive: true, force: true }));
  return directory;
};

t.test(
  `nothing acknowledged is lost or counted twice over ${KILLS} kills`,
  { timeout: KILLS * 6000 + 60_000 },
  async (t) => {
    const result = await killRun({ kills: KILLS });
    t.comment(`${result.acknowledged} ids acknowledged; ${result.killsBeforeReady} kills before the gateway was ready`);
    t.ok(result.acknowledged > KILLS, 'the load got through');
    t.same(result.surprises, [], 'no other answers than 200, 429 and 503');
    t.same(result.lost, [], 'every acknowledged id is in SQLite');
    t.same(result.doubled, [], 'no id is in SQLite twice');
    t.same(result.totals, result.stored, 'the totals count what SQLite holds');
    t.same(result.imbalances, [], 'the books balance');
  },
);

t.test('kills while a large backlog is recovered', { timeout: 180_000 }, async (t) => {
  const dataDirectory = await temporary(t);
  const options = { dataDirectory, key: 'backlog-key', env: { FLUSH_INTERVAL_SECONDS: '0.2' } };
  const first = await startGateway(options);
  t.teardown(() => first.stop('SIGKILL'));
  // Another process holds the database, so that the journal alone has what comes now.
  const holder = new Database(first.databasePath);
  holder.exec('BEGIN IMMEDIATE');
  const load = startLoad({ ...first, metrics: 50, ballast: 300 });
  await waitFor('a backlog', () => load.acknowledged().size > 60_000, { deadlineMs: 60_000 });
  await first.stop('SIGKILL');
  await load.stop();
  holder.close();

  let killsBeforeReady = 0;
  for (let kill = 0; kill < 10; kill += 1) {
    const gateway = await spawnGateway(options);
    await sleep(randomInt(300, 2500));
    const ready = await fetch(`${gateway.url}/readyz`).then(
      ({ ok }) => ok,
      () => false,
    );
    if (!ready) killsBeforeReady += 1;
    await gateway.stop('SIGKILL');
  }
  const last = await startGateway(options);
  const page = await settledScrape(last, 60_000);
  await last.stop();
  t.comment(`${load.acknowledged().size} ids acknowledged; ${killsBeforeReady} kills before the gateway was ready`);
  const { lost, doubled, stored } = compareStored(last.databasePath, load.acknowledged());
  t.same({ lost, doubled }, { lost: [], doubled: [] });
  t.same(totalsOf(page, load.names), stored);
  t.same(imbalances(page), []);
});
