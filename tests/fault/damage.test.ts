/**
 * Bytes flipped and tails cut in what a gateway left behind: it always starts, counts what is missing, and delivers what
 * is readable. Many cases on the parts in this process, some on a whole gateway.
 */
import {
  copyFileSync,
  cpSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import Database from 'better-sqlite3';
import fc from 'fast-check';
import t, { type Test } from 'tap';
import { imbalances, readSamples, sumOf } from '../support/books.ts';
import { startGateway } from '../support/gateway.ts';
import { startLoad } from '../support/load.ts';
import { compareStored, settledScrape } from '../support/stored.ts';
import { waitFor } from '../support/wait-for.ts';
import { openStore } from '../../src/sinks/sqlite/store.ts';
import { silentLog } from '../support/silent-log.ts';
import { flipRecords, metricsOf } from './flip-records.ts';

/** Whole gateways started on damaged files. */
const GATEWAYS = Number(process.env['DAMAGES'] ?? 12);
/** Of these, with flips in the journal whose cost the record headers tell to the metric. */
const EXACT = Math.ceil(GATEWAYS / 2);
const SEED = Number(process.env['SEED'] ?? Date.now() % 2 ** 31);
t.setTimeout((GATEWAYS + EXACT) * 30_000 + 200_000);

type Damage =
  { readonly kind: 'flip'; readonly at: number; readonly bit: number } | { readonly kind: 'cut'; readonly at: number };

const damage: fc.Arbitrary<Damage> = fc.oneof(
  fc.record({
    kind: fc.constant('flip' as const),
    at: fc.integer({ min: 0, max: 9999 }).map((share) => share / 10_000),
    bit: fc.integer({ min: 0, max: 7 }),
  }),
  fc.record({
    kind: fc.constant('cut' as const),
    at: fc.integer({ min: 0, max: 9999 }).map((share) => share / 10_000),
  }),
);

/** @param given.at the place as a share of the file's length */
function spoil(path: string, given: Damage): void {
  const bytes = readFileSync(path);
  if (bytes.length === 0) return;
  const at = Math.floor(given.at * bytes.length);
  if (given.kind === 'cut') writeFileSync(path, bytes.subarray(0, at));
  else {
    bytes[at]! ^= 1 << given.bit;
    writeFileSync(path, bytes);
  }
}

/** Places in the files' records, as shares of their length. */
const flips = fc.array(
  fc.integer({ min: 0, max: 9999 }).map((share) => share / 10_000),
  { minLength: 1, maxLength: 6 },
);

function storedIds(databasePath: string): Set<string> {
  const database = new Database(databasePath);
  const ids = database.prepare("SELECT json_extract(metadata, '$.event_id') FROM metrics").pluck().all() as string[];
  database.close();
  return new Set(ids);
}

const temporary = (t: Test): string => {
  const path = mkdtempSync(join(tmpdir(), 'damage-'));
  t.teardown(() => rmSync(path, { recursive: true, force: true }));
  return path;
};

t.test('any damage to the write-ahead log: the database opens, and holds a state that it once had', async (t) => {
  const base = temporary(t);
  const path = join(base, 'whole.db');
  const store = await openStore(path, { log: silentLog });
  t.teardown(() => store.close());
  const rows = new Database(path);
  t.teardown(() => rows.close());
  rows.pragma('wal_autocheckpoint = 0');
  rows.exec('CREATE TABLE numbers (n INTEGER)');
  for (let n = 0; n < 60; n += 1) rows.prepare('INSERT INTO numbers VALUES (?)').run(n);

  let cases = 0;
  await fc.assert(
    fc.asyncProperty(damage, async (given) => {
      const copy = join(base, `copy-${(cases += 1)}.db`);
      copyFileSync(path, copy);
      copyFileSync(`${path}-wal`, `${copy}-wal`);
      spoil(`${copy}-wal`, given);
      const opened = await openStore(copy, { log: silentLog });
      await opened.close();
      const database = new Database(copy, { readonly: true });
      const there = database.prepare("SELECT 1 FROM sqlite_schema WHERE name = 'numbers'").get() !== undefined;
      const numbers = there ? (database.prepare('SELECT n FROM numbers ORDER BY n').pluck().all() as number[]) : [];
      database.close();
      for (const suffix of ['', '-wal', '-shm']) rmSync(copy + suffix, { force: true });
      return numbers.every((n, index) => n === index);
    }),
    { numRuns: 60 },
  );
  t.ok(cases >= 60, 'what there is has no hole');
});

t.test('a whole gateway on damaged files', { timeout: (GATEWAYS + EXACT) * 30_000 + 100_000 }, async (t) => {
  const base = temporary(t);
  const dataDirectory = join(base, 'whole');
  mkdirSync(dataDirectory);
  const options = { key: 'damage-key', env: { FLUSH_INTERVAL_SECONDS: '0.2' } };
  const gateway = await startGateway({ ...options, dataDirectory });
  t.teardown(() => gateway.stop('SIGKILL'));
  const load = startLoad({ ...gateway, metrics: 5, pauseMs: 5 });
  await waitFor('load that SQLite has', () => load.acknowledged().size > 2000);
  const settled = await settledScrape(gateway);
  t.same(imbalances(settled), []);
  // From here on the journal alone has what comes.
  const holder = new Database(gateway.databasePath);
  holder.exec('BEGIN IMMEDIATE');
  const before = load.acknowledged().size;
  await waitFor('load that the journal alone has', () => load.acknowledged().size > before + 1000);
  await gateway.stop('SIGKILL');
  await load.stop();
  holder.exec('ROLLBACK');
  cpSync(dataDirectory, join(base, 'kept'), { recursive: true });
  holder.close();

  const targets = ['journal', 'snapshots', 'checkpoints', 'metrics.db-wal', 'journal-lineage.json'] as const;
  await t.test('flips in the journal: what is lost is told exactly', async (t) => {
    for (const [index, places] of fc.sample(flips, { numRuns: EXACT, seed: SEED }).entries()) {
      const directory = join(base, `exact-${index}`);
      cpSync(join(base, 'kept'), directory, { recursive: true });
      const before = storedIds(join(directory, 'metrics.db'));
      const expected = flipRecords(join(directory, 'journal'), places);
      const after = await startGateway({ ...options, dataDirectory: directory });
      try {
        const page = await settledScrape(after);
        await after.stop();
        const samples = readSamples(page);
        const missing = expected.counted.filter(({ ids }) => ids.some((id) => !before.has(id)));
        t.same(
          {
            lost: sumOf(samples, 'mcp_gateway_journal_lost_metrics'),
            damaged: sumOf(samples, 'mcp_gateway_journal_damaged_bytes'),
            skipped: sumOf(samples, 'mcp_gateway_sink_skipped_total', { sink: 'sqlite' }),
          },
          { lost: metricsOf(expected.counted), damaged: expected.damagedBytes, skipped: metricsOf(missing) },
          `${places.length} flips: ${places.join(', ')}`,
        );
        const gone = new Set([...expected.counted, ...expected.tail].flatMap(({ ids }) => ids));
        t.same(
          new Set(compareStored(after.databasePath, load.acknowledged()).lost),
          new Set([...load.acknowledged()].filter((id) => gone.has(id) && !before.has(id))),
          'and nothing else is missing',
        );
      } finally {
        await after.stop('SIGKILL');
        rmSync(directory, { recursive: true, force: true });
      }
    }
  });

  const cases = fc.sample(damage, { numRuns: GATEWAYS, seed: SEED });
  for (const [index, given] of cases.entries()) {
    const target = targets[index % targets.length]!;
    await t.test(`${target}: ${JSON.stringify(given)}`, async (t) => {
      const directory = join(base, `case-${index}`);
      cpSync(join(base, 'kept'), directory, { recursive: true });
      const path = join(directory, target);
      const files = target.includes('.') ? [path] : readdirSync(path).map((name) => join(path, name));
      for (const file of files) spoil(file, given);
      const after = await startGateway({ ...options, dataDirectory: directory });
      try {
        const page = await settledScrape(after);
        t.same(imbalances(page), [], 'it starts, delivers, and its books balance');
        await after.stop();
        const { lost, doubled } = compareStored(after.databasePath, load.acknowledged());
        const samples = readSamples(page);
        const journal = (name: string): number => sumOf(samples, `mcp_gateway_journal_${name}`);
        if (target !== 'journal') t.equal(lost.length, 0, 'the journal has what the damage took');
        else if (given.kind === 'flip')
          t.ok(lost.length === 0 || journal('lost_metrics') + journal('damaged_bytes') > 0, 'a loss is said');
        else {
          // Nobody knows what stood in bytes that are not there; but all before them is delivered.
          const gone = new Set(lost);
          for (const client of load.names) {
            const ids = [...load.acknowledged()].filter((id) => id.startsWith(`${client}-`));
            const first = ids.findIndex((id) => gone.has(id));
            t.ok(first === -1 || ids.slice(first).every((id) => gone.has(id)), 'what is lost is the end');
          }
        }
        t.same(doubled, [], 'nothing is there twice');
      } finally {
        await after.stop('SIGKILL');
        rmSync(directory, { recursive: true, force: true });
      }
    });
  }
});
