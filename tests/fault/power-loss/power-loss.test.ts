/**
 * The plug is pulled: a gateway's changes to its files are recorded under load; from the log, what a disk may hold at any
 * instant is built, a gateway is started on it, and has to have all that was acknowledged until then, once.
 */
import { randomInt } from 'node:crypto';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import t, { type Test } from 'tap';
import { imbalances, readSamples, sumOf } from '../../support/books.ts';
import { startGateway } from '../../support/gateway.ts';
import { startLoad } from '../../support/load.ts';
import { compareStored, settledScrape, totalsOf } from '../../support/stored.ts';
import { skipWithout } from '../../support/tools.ts';
import { waitFor } from '../../support/wait-for.ts';
import { startTroubled } from '../troubled-gateway.ts';
import { type Change, type Fate, newDisk, readLog, restoreImage } from './disk-model.ts';
import { compiler, recording } from './record.ts';

/** Instants at which the plug is pulled. */
const CUTS = Number(process.env['CUTS'] ?? 24);
t.setTimeout(CUTS * 30_000 + 200_000);

const FATES: readonly [name: string, fate: Fate][] = [
  ['all that was not synced is gone', () => false],
  ['of what was not synced any sector may be there', () => randomInt(2) === 0],
  ['most of what was not synced is there', () => randomInt(10) > 0],
];

const folder = (t: Test): string => {
  const path = mkdtempSync(join(tmpdir(), 'power-'));
  t.teardown(() => rmSync(path, { recursive: true, force: true }));
  return path;
};

t.test(
  'power loss',
  { skip: skipWithout(compiler, 'apt-get install gcc'), timeout: CUTS * 30_000 + 150_000 },
  async (t) => {
    const base = folder(t);
    const dataDirectory = join(base, 'data');
    mkdirSync(dataDirectory);
    const { command, logPath, size, killBeforeNextChange } = recording(base, dataDirectory);
    // Small, so that segments are begun and freed all the time.
    const options = { key: 'power-key', sinks: { plain: 'refuse' }, maxJournalBytes: 16 * 1024 * 1024 } as const;
    const env = { TROUBLE_DIR: base };
    const gateway = await startTroubled({ ...options, dataDirectory, command, env });
    t.teardown(() => gateway.stop('SIGKILL'));
    /** Ids, and how long the log was when their 200 came. */
    const answers: { readonly at: number; readonly ids: readonly string[] }[] = [];
    const load = startLoad({
      ...gateway,
      ballast: 2000,
      pauseMs: 5,
      onAcknowledged: (ids) => answers.push({ at: size(), ids }),
    });
    const segments = (): readonly string[] => readdirSync(join(dataDirectory, 'journal'));
    // After the second snapshot of the totals: all that happens again and again has happened.
    await waitFor('the journal to be trimmed', () => !segments().includes('segment-0000000001.log'), {
      deadlineMs: 90_000,
    });
    const trimmedAt = answers.length;
    await waitFor('some more load', () => answers.length > trimmedAt * 1.1, { deadlineMs: 60_000 });
    killBeforeNextChange();
    await waitFor('the gateway to die', () => gateway.exit() !== undefined, { deadlineMs: 60_000 });
    await load.stop();
    const changes = readLog(readFileSync(logPath));
    t.comment(`${load.acknowledged().size} ids acknowledged; ${changes.length} changes, ${size()} bytes recorded`);
    t.ok(
      changes.some(({ kind, path }) => kind === 'sync' && path === 'metrics.db'),
      'the database was checkpointed',
    );

    await t.test('the record is complete: with all of it applied the files are what they are', async (t) => {
      const image = diskAfter(changes).image(() => true);
      const differing: string[] = [];
      for (const path of filesBelow(dataDirectory)) {
        if (!readFileSync(join(dataDirectory, path)).equals(image.get(path) ?? Buffer.alloc(0))) differing.push(path);
      }
      t.same(differing, []);
      t.ok(image.size > 5);
    });

    for (let cut = 0; cut < CUTS; cut += 1) {
      // The first seconds hold the making of all files, the rest everything that happens again and again.
      const at = cut % 4 === 0 ? randomInt(1, Math.min(changes.length, 400)) : randomInt(1, changes.length + 1);
      const [name, fate] = FATES[cut % FATES.length]!;
      await t.test(`the plug is pulled after change ${at}; ${name}`, async (t) => {
        const until = changes[at - 1]!.end;
        const promised = answers.filter((answer) => answer.at <= until).flatMap(({ ids }) => ids);
        const directory = join(base, `cut-${cut}`);
        mkdirSync(directory);
        restoreImage(directory, diskAfter(changes.slice(0, at)).image(fate));
        const after = await startTroubled({ ...options, dataDirectory: directory });
        try {
          const page = await settledScrape(after, 60_000);
          await after.stop();
          const { lost, doubled, stored } = compareStored(after.databasePath, promised);
          const passed = t.same(
            { lost: lost.slice(0, 3), doubled: doubled.slice(0, 3) },
            { lost: [], doubled: [] },
            `${promised.length} acknowledged ids are in SQLite once`,
          );
          t.same(totalsOf(page, load.names), stored, 'and in the totals once');
          t.same(imbalances(page), [], 'the books balance');
          t.equal(sumOf(readSamples(page), 'mcp_gateway_journal_lost_metrics'), 0, 'no gap');
          if (!passed) t.comment(after.output());
        } finally {
          await after.stop('SIGKILL');
          rmSync(directory, { recursive: true, force: true });
        }
      });
    }
  },
);

t.test(
  'kills at one change of the files after the other of a first start, its migrations among them',
  { skip: skipWithout(compiler, 'apt-get install gcc'), timeout: 300_000 },
  async (t) => {
    const body = { service: 's', metrics: [{ type: 'custom', value: 1, dimensions: { metric_name: 'm' } }] };
    for (let nth = 1; nth <= 170; nth += 13) {
      const base = folder(t);
      const dataDirectory = join(base, 'data');
      mkdirSync(dataDirectory);
      const { command } = recording(base, dataDirectory, nth);
      await t.rejects(startGateway({ dataDirectory, command }), `it dies before change ${nth}`);
      const gateway = await startGateway({ dataDirectory });
      t.equal((await gateway.post(body)).status, 200, 'the next one starts and takes metrics');
      const page = await settledScrape(gateway);
      t.equal(sumOf(readSamples(page), 'mcp_gateway_sink_delivered_total', { sink: 'sqlite' }), 1);
      await gateway.stop();
    }
  },
);

function diskAfter(changes: readonly Change[]): ReturnType<typeof newDisk> {
  const disk = newDisk();
  for (const change of changes) disk.apply(change);
  return disk;
}

/** All but SQLite's shared memory, which is mapped and made anew, and the socket. */
function filesBelow(directory: string): string[] {
  return readdirSync(directory, { recursive: true, encoding: 'utf8' })
    .filter((path) => statSync(join(directory, path)).isFile() && !path.endsWith('-shm'))
    .map((path) => relative('.', path));
}
