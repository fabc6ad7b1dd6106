/**
 * What one metric costs in SQLite: CPU µs per metric in the writer (decoding, dictionaries, rows, indexes, rollups,
 * commit), against bare prepared inserts of the same rows into the same table and indexes in the same round; and bytes on disk.
 * Run: node --conditions=mcp-metrics-source tests/bench/sqlite-write.ts [metrics=500000] [metrics per request=as recorded]
 */
import { mkdtempSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { packRecords } from '../../src/core/record-transfer.ts';
import { openForWriting } from '../../src/sinks/sqlite/database.ts';
import { openEventWriter } from '../../src/sinks/sqlite/event-writer.ts';
import { DEFAULT_CAPS } from '../../src/sinks/sqlite/writer-caps.ts';
import { trafficRecords } from './sqlite-records.ts';

const METRICS = Number(process.argv[2] ?? 500_000);
const PER_REQUEST = Number(process.argv[3] ?? 0);
const BATCH = 10_000;
const STEP_MS = 30;

const directory = mkdtempSync(join(tmpdir(), 'mcp-metrics-bench-'));
const path = join(directory, 'metrics.db');
const { db } = openForWriting(path);
const writer = openEventWriter(db, DEFAULT_CAPS);
const traffic = trafficRecords({ start: Date.now() - METRICS * STEP_MS, stepMs: STEP_MS, perRequest: PER_REQUEST });

/** The baseline: rows as they are in the first database, by one prepared insert in a transaction of the same size. */
const bare = openForWriting(join(directory, 'bare.db')).db;
const insertBare = bare.prepare(`INSERT INTO events VALUES (${Array.from({ length: 20 }, () => '?').join(', ')})`);
const readBack = db.prepare<[number], unknown[]>('SELECT * FROM events WHERE id > ? ORDER BY id').raw();
const writeBare = bare.transaction((rows: unknown[][]) => {
  for (const row of rows) insertBare.run(...row);
});

const cpuMicros = (work: () => void): number => {
  const from = process.cpuUsage();
  work();
  const { user, system } = process.cpuUsage(from);
  return user + system;
};

let writing = 0;
let inserting = 0;
let since = 0;
console.log('metrics     CPU µs per metric   bare insert   ratio');
while (traffic.checkpoint().count < METRICS) {
  const before = traffic.checkpoint().count;
  const packed = packRecords(traffic.batch(BATCH));
  const { count } = traffic.checkpoint();
  writing += cpuMicros(() => writer.write(packed, traffic.checkpoint()));
  const rows = readBack.all(before);
  inserting += cpuMicros(() => writeBare(rows));
  since += count - before;
  if (since >= METRICS / 5) {
    const [own, baseline] = [writing / since, inserting / since];
    console.log(
      `${String(count).padStart(9)}   ${own.toFixed(2).padStart(17)}   ${baseline.toFixed(2).padStart(11)}   ${(own / baseline).toFixed(2).padStart(5)}`,
    );
    writing = 0;
    inserting = 0;
    since = 0;
  }
}
const { count: written } = traffic.checkpoint();
db.pragma('wal_checkpoint(TRUNCATE)');
const sizes = db
  .prepare<[], { name: string; bytes: number }>(
    'SELECT name, sum(pgsize) AS bytes FROM dbstat GROUP BY name HAVING bytes > 4096 ORDER BY bytes DESC',
  )
  .all();
const rollups = sizes.filter(({ name }) => name.startsWith('rollup')).reduce((sum, { bytes }) => sum + bytes, 0);
const perMetric = (bytes: number): string => (bytes / written).toFixed(1);
console.log(
  `bytes per metric, rollups apart: ${perMetric(statSync(path).size - rollups)}; rollups ${perMetric(rollups)} over ${((METRICS * STEP_MS) / 3_600_000).toFixed(1)} h`,
);
for (const { name, bytes } of sizes) console.log(`  ${name.padEnd(32)} ${perMetric(bytes)}`);
db.close();
bare.close();
rmSync(directory, { recursive: true });
