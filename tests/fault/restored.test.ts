/**
 * Files of one gateway from two different days, as after a restored backup: it always starts, says so in one line and one
 * metric for SQLite, counts what is gone, and what is accepted afterwards is there once.
 */
import { cpSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { imbalances, readSamples, sumOf } from '../support/books.ts';
import { startGateway } from '../support/gateway.ts';
import { startLoad } from '../support/load.ts';
import { compareStored, settledScrape } from '../support/stored.ts';
import { waitFor } from '../support/wait-for.ts';

t.setTimeout(180_000);
const base = mkdtempSync(join(tmpdir(), 'restored-'));
t.teardown(() => rmSync(base, { recursive: true, force: true }));
const options = { key: 'restored-key', env: { FLUSH_INTERVAL_SECONDS: '0.2' } };

/** Runs a gateway on the folder for some load. @returns the ids that were answered 200, and the page at the end */
async function live(t: Test, dataDirectory: string, name: string) {
  const gateway = await startGateway({ ...options, dataDirectory });
  t.teardown(() => gateway.stop('SIGKILL'));
  const load = startLoad({ ...gateway, name, pauseMs: 2 });
  await waitFor('load', () => load.acknowledged().size > 500);
  await load.stop();
  const page = await settledScrape(gateway);
  await gateway.stop();
  return { ids: load.acknowledged(), page, output: gateway.output(), databasePath: gateway.databasePath };
}

const isDatabase = (name: string): boolean => name.startsWith('metrics.db');
/** Puts together the database of one folder and all else of another; undefined leaves that out. */
function compose(name: string, database: string | undefined, rest: string | undefined): string {
  const target = join(base, name);
  for (const [from, wanted] of [
    [database, isDatabase],
    [rest, (file: string) => !isDatabase(file) && !/^(?:lock|control)/.test(file)],
  ] as const) {
    if (from === undefined) continue;
    for (const file of readdirSync(from).filter(wanted))
      cpSync(join(from, file), join(target, file), { recursive: true });
  }
  return target;
}

t.test('files of two days', async (t) => {
  const [now, before] = [join(base, 'now'), join(base, 'before')];
  const early = await live(t, now, 'early');
  cpSync(now, before, { recursive: true });
  const late = await live(t, now, 'late');

  /** @param held what the new database and journal together still have of what was acknowledged */
  const expectMisfit = async (t: Test, directory: string, misfit: string, held: ReadonlySet<string>, skipped = 0) => {
    const { ids, page, output, databasePath } = await live(t, directory, 'after');
    const { lost, doubled } = compareStored(databasePath, [...held, ...ids]);
    t.same({ lost, doubled }, { lost: [], doubled: [] }, 'what there was and what came is there once');
    t.same(imbalances(page), []);
    const samples = readSamples(page);
    t.equal(sumOf(samples, 'mcp_gateway_sink_checkpoint_misfit', { sink: 'sqlite', misfit }), 1);
    t.equal(sumOf(samples, 'mcp_gateway_sink_skipped_total', { sink: 'sqlite' }), skipped);
    const lines = output.split('\n').filter((line) => line.includes('"misfit"') && line.includes('"sink":"sqlite"'));
    t.equal(lines.length, 1, 'one line');
  };
  const all = new Set([...early.ids, ...late.ids]);

  await t.test('an older database beside a newer journal', async (t) => {
    // The journal was not trimmed since: it brings the rest, and nothing misfits.
    const { ids, page, databasePath } = await live(t, compose('older-database', before, now), 'after');
    const { lost, doubled } = compareStored(databasePath, [...all, ...ids]);
    t.same({ lost, doubled }, { lost: [], doubled: [] });
    t.equal(sumOf(readSamples(page), 'mcp_gateway_sink_skipped_total', { sink: 'sqlite' }), 0);
  });
  await t.test('a newer database beside an older journal', (t) =>
    expectMisfit(t, compose('older-journal', now, before), 'journal_rolled_back', all),
  );
  await t.test('a database beside no journal', (t) =>
    expectMisfit(t, compose('no-journal', now, undefined), 'other_journal', all),
  );
  await t.test('a journal beside no database', (t) =>
    expectMisfit(t, compose('no-database', undefined, now), 'checkpoint_lost', all),
  );
});
