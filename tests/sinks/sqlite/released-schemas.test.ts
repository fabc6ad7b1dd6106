/** Databases as each released schema left them, with data in them, are brought up to date and lose nothing. */
import { globSync, readFileSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { gunzipSync } from 'node:zlib';
import t from 'tap';
import { openKeyStore } from '../../../src/sinks/sqlite/key-store.ts';
import { MIGRATIONS_FOLDER } from '../../../src/sinks/sqlite/migrate.ts';
import { openStore } from '../../../src/sinks/sqlite/store.ts';
import { memoryLog, query, recordedBodies, recorder, settableClock } from './harness.ts';
import { folderOf } from '../../support/folder.ts';

const NOW = Date.UTC(2026, 10, 22, 12);
const FOLDER = fileURLToPath(new URL('../../fixtures/schemas/', import.meta.url));
const namesIn = (folder: string, ending: string): string[] =>
  globSync(`*${ending}`, { cwd: folder })
    .map((file) => basename(file, ending))
    .toSorted();

/** Never without the other: no database was ever left at the first alone. */
const NEVER_ALONE = ['0000_tables'];

const released = namesIn(FOLDER, '.db.gz');

t.test('each schema before the newest has its database here', async (t) => {
  const before = namesIn(MIGRATIONS_FOLDER, '.sql').slice(0, -1);
  const missing = before.filter((name) => !released.includes(name) && !NEVER_ALONE.includes(name));
  t.strictSame(missing, [], 'tests/fixtures/schemas/make.ts keeps one, before a migration is added');
});

for (const name of released) {
  t.test(`${name} is brought up to date with its data`, async (t) => {
    const path = join(folderOf(t), 'metrics.db');
    writeFileSync(path, gunzipSync(readFileSync(join(FOLDER, `${name}.db.gz`))));
    const shown = JSON.parse(gunzipSync(readFileSync(join(FOLDER, `${name}.json.gz`))).toString()) as Record<
      string,
      Record<string, unknown>[]
    >;
    const log = memoryLog();
    const store = await openStore(path, { log });
    t.teardown(() => store.close());
    t.match(log.lines, [{ message: 'database migrated' }]);

    for (const [view, rows] of Object.entries(shown)) {
      t.ok(rows.length > 0, `${view} has rows to lose`);
      const columns = Object.keys(rows[0]!).map((column) => `"${column}"`);
      t.strictSame(query(path, `SELECT ${columns.join(', ')} FROM ${view}`), rows, view);
    }
    t.match(
      (await store.retention.policies()).map(({ table, retentionDays, isActive }) => [table, retentionDays, isActive]),
      [
        ['metrics', 90, true],
        ['auth_metrics', 90, false],
        ['tool_metrics', 30, true],
      ],
    );
    const keys = await openKeyStore({ path, log, clock: settableClock(NOW) });
    t.teardown(() => keys.close());
    t.strictSame(
      (await keys.list()).map(({ service, origin }) => [service, origin]),
      [['registry', 'environment']],
    );

    const stats = await store.retention.stats();
    for (const view of ['metrics', 'tool_metrics', 'metrics_hourly', 'metrics_daily'] as const) {
      t.equal(stats[view].record_count, shown[view]?.length, `rows of ${view}`);
    }
    const rollups = (): object[] =>
      query(path, 'SELECT * FROM metrics_daily').toSorted((a, b) => (JSON.stringify(a) < JSON.stringify(b) ? -1 : 1));
    const before = rollups();
    t.equal((await store.backfill({ now: NOW })).cancelled, false);
    t.strictSame(rollups(), before, 'rollups are made anew with the same numbers');

    const { record, end } = recorder();
    await store.write([record(recordedBodies()[0]!)], { ...end(), journalId: 'the next' });
    t.equal((await store.retention.stats()).metrics.record_count, shown['metrics']!.length + 1, 'and takes new ones');
  });
}
