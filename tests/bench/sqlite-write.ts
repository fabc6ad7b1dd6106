/**
 * What one metric costs in SQLite: µs per metric in the writer (decoding, dictionaries, rows, indexes, rollups, commit)
 * and bytes on disk.
 * Run: node --conditions=mcp-metrics-source tests/bench/sqlite-write.ts [metrics=500000] [metrics per request=as recorded]
 */
import { mkdtempSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { packRecords } from '../../src/sinks/sqlite/batch-transfer.ts';
import { openForWriting } from '../../src/sinks/sqlite/database.ts';
import { DEFAULT_CAPS, openEventWriter } from '../../src/sinks/sqlite/event-writer.ts';
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

let micros = 0;
let since = 0;
console.log('metrics     µs per metric');
while (traffic.checkpoint().count < METRICS) {
  const before = traffic.checkpoint().count;
  const packed = packRecords(traffic.batch(BATCH));
  const { count } = traffic.checkpoint();
  const from = process.hrtime.bigint();
  writer.write(packed, traffic.checkpoint());
  micros += Number(process.hrtime.bigint() - from) / 1000;
  since += count - before;
  if (since >= METRICS / 5) {
    console.log(`${String(count).padStart(9)}   ${(micros / since).toFixed(2)}`);
    micros = 0;
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
rmSync(directory, { recursive: true });
