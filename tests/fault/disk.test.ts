/** Disk and database in trouble under a real gateway and load: no false 200, the rest stays up, and it heals by itself. */
import { execFileSync, spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t from 'tap';
import { readSamples, sumOf } from '../support/books.ts';
import { watchBooks } from '../support/books-watch.ts';
import { type RunningGateway, spawnGateway, startGateway, untilReady } from '../support/gateway.ts';
import { type Load, startLoad } from '../support/load.ts';
import { totalsOf } from '../support/stored.ts';
import { programPath, skipWithout } from '../support/tools.ts';
import { waitFor } from '../support/wait-for.ts';
import { allIsThere } from './all-is-there.ts';
import { folderOf } from '../support/folder.ts';

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
  await waitFor('it to heal', () => countOf(load, 200) > before + 50, { deadlineMs: 60_000 });
  t.ok(load.acknowledged().size > acknowledged);
  await load.stop();
  await allIsThere(t, gateway, load);
  await watch.stop();
  t.same(watch.imbalances(), [], `the books balance at each of ${watch.scrapes()} scrapes`);
  t.equal((await gateway.stop()).code, 0);
});

t.test(
  'a disk that is full before the start: the process stays, and starts once there is room',
  { skip },
  async (t) => {
    const dataDirectory = smallDisk(20);
    t.teardown(() => removeDisk(dataDirectory));
    const options = { dataDirectory, key: 'full-key', env: { FLUSH_INTERVAL_SECONDS: '0.2' } };
    const first = await startGateway(options);
    const load = startLoad(first);
    await waitFor('load', () => load.acknowledged().size > 200);
    await first.stop('SIGKILL');
    await load.stop();
    const filler = join(dataDirectory, 'filler');
    t.throws(() => writeFileSync(filler, Buffer.alloc(30_000_000)), { code: 'ENOSPC' });
    const gateway = await spawnGateway(options);
    t.teardown(() => gateway.stop('SIGKILL'));
    await waitFor('it to answer', async () => (await fetch(`${gateway.url}/livez`)).ok, { deadlineMs: 60_000 });
    rmSync(filler);
    await untilReady(gateway, 30_000);
    await allIsThere(t, gateway, load);
    t.equal((await gateway.stop()).code, 0);
  },
);

t.test('a data directory that cannot be written: it does not start, and says why', { skip }, async (t) => {
  const disk = smallDisk(5);
  t.teardown(() => removeDisk(disk));
  mkdirSync(join(disk, 'data'));
  remount(disk, 'ro');
  const gateway = await spawnGateway({ dataDirectory: join(disk, 'data') });
  t.equal((await gateway.exited).code, 69, 'EX_UNAVAILABLE');
  t.match(gateway.output(), /The data directory \S+ cannot be written: its disk is mounted read-only\. Mend that/);
});

const needsShell = skipWithout(programPath('sqlite3'), 'apt-get install sqlite3');

/** Holds the database from the `sqlite3` shell; returns how to let go. */
async function holdDatabase(path: string, statements: string): Promise<() => void> {
  const shell = spawn('sqlite3', [path], { stdio: ['pipe', 'pipe', 'inherit'] });
  t.teardown(() => shell.kill('SIGKILL'));
  shell.stdin.write(`.timeout 5000\n${statements}\nSELECT 42;\n`);
  let said = '';
  shell.stdout.on('data', (chunk: Buffer) => (said += chunk.toString()));
  await waitFor('the shell to hold it', () => said.includes('42'));
  return () => void shell.stdin.end('ROLLBACK;\n');
}

/** A database that a gateway has used, and nobody holds now. */
async function usedDatabase(dataDirectory: string): Promise<RunningGateway> {
  const gateway = await startGateway({ dataDirectory, key: 'an-older-key' });
  await gateway.stop();
  return gateway;
}

t.test(
  'another process writes to the database at the start: metrics are taken all the same',
  { skip: needsShell },
  async (t) => {
    const dataDirectory = folderOf(t);
    const { databasePath } = await usedDatabase(dataDirectory);
    const release = await holdDatabase(databasePath, 'BEGIN IMMEDIATE;');
    const env = { FLUSH_INTERVAL_SECONDS: '0.2' };
    // The database has never seen this key, and still holds the one before it.
    const gateway = await startGateway({ dataDirectory, key: 'a-new-key', env });
    t.teardown(() => gateway.stop('SIGKILL'));
    t.match(await (await fetch(`${gateway.url}/readyz`)).json(), {
      problems: [/^database: it cannot be written: .*locked/],
    });
    t.equal((await gateway.post({}, { 'x-api-key': 'an-older-key' })).status, 401, 'its variable is gone');
    const load = startLoad({ ...gateway, pauseMs: 5 });
    await waitFor('load into the journal', () => load.acknowledged().size > 500);
    t.same([...load.statuses().keys()], [200]);
    release();
    await waitFor(
      'the trouble to be over',
      async () => !(await (await fetch(`${gateway.url}/readyz`)).text()).includes('database'),
    );
    await load.stop();
    await allIsThere(t, gateway, load);
    await gateway.stop();
    const again = await startGateway({ dataDirectory, key: 'a-new-key', env });
    t.teardown(() => again.stop('SIGKILL'));
    t.equal((await again.post({}, { 'x-api-key': 'an-older-key' })).status, 401, 'and the database says so now');
  },
);

t.test(
  'a database that cannot even be read at the start is waited for in the open',
  { skip: needsShell },
  async (t) => {
    const dataDirectory = folderOf(t);
    const { databasePath } = await usedDatabase(dataDirectory);
    const hold = (): Promise<() => void> =>
      holdDatabase(databasePath, 'PRAGMA locking_mode = EXCLUSIVE;\nBEGIN EXCLUSIVE;\nCREATE TABLE held (n);');
    const release = await hold();
    const gateway = await spawnGateway({ dataDirectory });
    t.teardown(() => gateway.stop('SIGKILL'));
    await waitFor('the waiting room', async () => (await fetch(`${gateway.url}/livez`)).ok, { deadlineMs: 60_000 });
    const ready = await fetch(`${gateway.url}/readyz`);
    t.equal(ready.status, 503);
    t.match(await ready.json(), {
      status: 'not ready',
      problems: [/^start: .*metrics\.db is locked by another process: fuser/],
    });
    t.match(await (await fetch(`${gateway.url}/health`)).json(), { status: 'degraded' });
    const refused = await gateway.post({ service: 's', metrics: [] });
    t.equal(refused.status, 503);
    t.match(refused.headers.get('retry-after'), /^\d+$/);
    t.match(await refused.json(), { code: 'overloaded', detail: /not up yet: start: .* locked/ });
    t.equal((await fetch(`${gateway.url}/api/v1/query`)).status, 503);
    release();
    await untilReady(gateway, 30_000);
    const load = startLoad(gateway);
    await waitFor('load', () => load.acknowledged().size > 200);
    await load.stop();
    await allIsThere(t, gateway, load);
    await gateway.stop();

    await hold();
    const waiting = await spawnGateway({ dataDirectory });
    t.teardown(() => waiting.stop('SIGKILL'));
    await waitFor('the waiting room', async () => (await fetch(`${waiting.url}/livez`)).ok, { deadlineMs: 60_000 });
    t.same(await waiting.stop('SIGTERM'), { code: 0, signal: null }, 'it ends in good order while it waits');
  },
);

t.test('the sqlite3 shell holds the database for long', { skip: needsShell }, async (t) => {
  const options = { dataDirectory: folderOf(t), key: 'lock-key', env: { FLUSH_INTERVAL_SECONDS: '0.2' } };
  const gateway = await startGateway(options);
  t.teardown(() => gateway.stop('SIGKILL'));
  const load = startLoad({ ...gateway, pauseMs: 5 });
  await waitFor('load', () => load.acknowledged().size > 200);
  const release = await holdDatabase(gateway.databasePath, 'BEGIN IMMEDIATE;');
  const queued = async (): Promise<number> =>
    sumOf(readSamples(await gateway.scrape()), 'mcp_gateway_sink_queued', { sink: 'sqlite' });
  const before = load.acknowledged().size;
  await waitFor('a queue', async () => (await queued()) > 1000, { deadlineMs: 60_000 });
  t.same([...load.statuses().keys()], [200], 'ingest does not notice');
  t.ok(load.acknowledged().size > before + 500);
  const counted = Object.values(totalsOf(await gateway.scrape(), load.names)).reduce((sum, n) => sum + n, 0);
  t.ok(counted > before, 'the totals are fresh');
  await waitFor('/readyz to name it, and to stay 200', async () => {
    const ready = await fetch(`${gateway.url}/readyz`);
    return ready.status === 200 && /sqlite: .*locked/.test(await ready.text());
  });
  release();
  await waitFor('it to catch up', async () => (await queued()) < 500, { deadlineMs: 60_000 });
  await load.stop();
  await allIsThere(t, gateway, load);
});

t.test('the database file is deleted under a running gateway', async (t) => {
  const gateway = await startGateway({ dataDirectory: folderOf(t), env: { FLUSH_INTERVAL_SECONDS: '0.2' } });
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
