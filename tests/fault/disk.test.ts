/** Disk and database in trouble under a real gateway and load: no false 200, the rest stays up, and it heals by itself. */
import { execFileSync, spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { readSamples, sumOf } from '../support/books.ts';
import { watchBooks } from '../support/books-watch.ts';
import { type RunningGateway, spawnGateway, startGateway } from '../support/gateway.ts';
import { type Load, startLoad } from '../support/load.ts';
import { compareStored, settledScrape, totalsOf } from '../support/stored.ts';
import { programPath, skipWithout } from '../support/tools.ts';
import { waitFor } from '../support/wait-for.ts';

t.setTimeout(240_000);

/** A file system of its own, in memory and small. */
function smallDisk(megabytes: number): string {
  const path = mkdtempSync(join(tmpdir(), 'disk-'));
  execFileSync('mount', ['-t', 'tmpfs', '-o', `size=${megabytes}m`, 'tmpfs', path], { stdio: 'ignore' });
  return path;
}
const removeDisk = (path: string): void => {
  execFileSync('umount', ['-l', path]);
  rmSync(path, { recursive: true });
};
const remount = (path: string, options: string): Buffer => execFileSync('mount', ['-o', `remount,${options}`, path]);

function mountable(): boolean {
  try {
    removeDisk(smallDisk(1));
    return true;
  } catch {
    return false;
  }
}
const skip = mountable() ? false : 'no mounts here; tests/journal/disk-trouble.test.ts has a simulated disk';

const countOf = (load: Load, status: number): number => load.statuses().get(status) ?? 0;

/** Whatever happened: what was acknowledged is there once, the totals say the same, the books balance. */
async function allIsThere(t: Test, gateway: RunningGateway, load: Load): Promise<void> {
  const page = await settledScrape(gateway, 60_000);
  const { lost, doubled, stored } = compareStored(gateway.databasePath, load.acknowledged());
  t.same({ lost, doubled }, { lost: [], doubled: [] }, `${load.acknowledged().size} acknowledged ids are there once`);
  t.same(totalsOf(page, load.names), stored);
  t.same(load.surprises(), [], 'no answers but 200, 429 and 503');
}

t.test('a full disk: 503, /metrics and health stay up, and it heals without a restart', { skip }, async (t) => {
  const dataDirectory = smallDisk(20);
  t.teardown(() => removeDisk(dataDirectory));
  const gateway = await startGateway({ dataDirectory, env: { FLUSH_INTERVAL_SECONDS: '0.2' } });
  t.teardown(() => gateway.stop('SIGKILL'));
  const watch = watchBooks(gateway.scrapeUrl, 100);
  const load = startLoad({ ...gateway, metrics: 20, ballast: 1000 });
  await waitFor('load', () => load.acknowledged().size > 500);
  await waitFor('the disk to be felt', () => countOf(load, 503) > 20, { deadlineMs: 60_000 });
  const ready = await fetch(`${gateway.url}/readyz`);
  t.ok(ready.status === 200 || ready.status === 503);
  t.match(await ready.json(), { problems: /journal|sqlite/ }, '/readyz names what is wrong');
  t.equal((await fetch(`${gateway.url}/livez`)).status, 200);
  t.match(await gateway.scrape(), /mcp_gateway_journal_bytes/);
  remount(dataDirectory, 'size=200m');
  const [before, acknowledged] = [countOf(load, 200), load.acknowledged().size];
  await waitFor('it to heal', () => countOf(load, 200) > before + 50, { deadlineMs: 30_000 });
  t.ok(load.acknowledged().size > acknowledged);
  await load.stop();
  await allIsThere(t, gateway, load);
  await watch.stop();
  t.same(watch.imbalances(), [], `the books balance at each of ${watch.scrapes()} scrapes`);
  t.equal((await gateway.stop()).code, 0);
});

t.test('a data directory that cannot be written: it does not start, and says why', { skip }, async (t) => {
  const disk = smallDisk(5);
  t.teardown(() => removeDisk(disk));
  mkdirSync(join(disk, 'data'));
  remount(disk, 'ro');
  const gateway = await spawnGateway({ dataDirectory: join(disk, 'data') });
  t.equal((await gateway.exited).code, 69, 'EX_UNAVAILABLE');
  t.match(gateway.output(), /The data directory \S+ cannot be written: its disk is mounted read-only\. Mend that/);
});

t.test(
  'the sqlite3 shell holds the database for long',
  { skip: skipWithout(programPath('sqlite3'), 'apt-get install sqlite3') },
  async (t) => {
    const options = { dataDirectory: t.testdir(), key: 'lock-key', env: { FLUSH_INTERVAL_SECONDS: '0.2' } };
    const gateway = await startGateway(options);
    t.teardown(() => gateway.stop('SIGKILL'));
    const load = startLoad({ ...gateway, pauseMs: 5 });
    await waitFor('load', () => load.acknowledged().size > 200);
    const shell = spawn('sqlite3', [gateway.databasePath], { stdio: ['pipe', 'pipe', 'inherit'] });
    t.teardown(() => shell.kill('SIGKILL'));
    shell.stdin.write('.timeout 5000\nBEGIN IMMEDIATE;\nSELECT 42;\n');
    await waitFor('the shell to hold it', () => shell.stdout.read() !== null);
    const queued = async (): Promise<number> =>
      sumOf(readSamples(await gateway.scrape()), 'mcp_gateway_sink_queued', { sink: 'sqlite' });
    const before = load.acknowledged().size;
    await waitFor('a queue', async () => (await queued()) > 1000, { deadlineMs: 30_000 });
    t.same([...load.statuses().keys()], [200], 'ingest does not notice');
    t.ok(load.acknowledged().size > before + 500);
    const counted = Object.values(totalsOf(await gateway.scrape(), load.names)).reduce((sum, n) => sum + n, 0);
    t.ok(counted > before, 'the totals are fresh');
    await waitFor('/readyz to name it, and to stay 200', async () => {
      const ready = await fetch(`${gateway.url}/readyz`);
      return ready.status === 200 && /sqlite: .*locked/.test(await ready.text());
    });
    shell.stdin.end('COMMIT;\n');
    await waitFor('it to catch up', async () => (await queued()) < 500, { deadlineMs: 30_000 });
    await load.stop();
    await allIsThere(t, gateway, load);
  },
);

t.test('the database file is deleted under a running gateway', async (t) => {
  const gateway = await startGateway({ dataDirectory: t.testdir(), env: { FLUSH_INTERVAL_SECONDS: '0.2' } });
  t.teardown(() => gateway.stop('SIGKILL'));
  const load = startLoad({ ...gateway, pauseMs: 5 });
  await waitFor('load', () => load.acknowledged().size > 500);
  for (const suffix of ['', '-wal', '-shm']) rmSync(gateway.databasePath + suffix, { force: true });
  const acknowledged = load.acknowledged().size;
  await waitFor('more load', () => load.acknowledged().size > acknowledged + 500);
  await load.stop();
  await allIsThere(t, gateway, load);
  t.match(gateway.output(), /database file was deleted while in use; it was written back whole/);
});
