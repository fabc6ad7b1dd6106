/**
 * What one metric costs in SQLite: µs per metric in the writer (decoding, dictionaries, rows, indexes, rollups, commit)
 * and bytes on disk. The recorded traffic is repeated with fresh request ids and times that go on.
 * Run: node --conditions=mcp-metrics-source tests/bench/sqlite-write.ts [metrics=500000] [metrics per request=as recorded]
 */
import { randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { JsonBody } from '../../src/core/json-events.ts';
import type { DeliveredRecord } from '../../src/core/sink.ts';
import { packRecords } from '../../src/sinks/sqlite/batch-transfer.ts';
import { openForWriting } from '../../src/sinks/sqlite/database.ts';
import { DEFAULT_CAPS, openEventWriter } from '../../src/sinks/sqlite/event-writer.ts';
import { recordedBodies } from '../sinks/sqlite/harness.ts';

const METRICS = Number(process.argv[2] ?? 500_000);
const PER_REQUEST = Number(process.argv[3] ?? 0);
const BATCH = 10_000;
const STEP_MS = 30;

interface Sent {
  timestamp: string;
  metadata: Record<string, unknown>;
}
const encoder = new TextEncoder();
const recorded = recordedBodies();
const bodies: JsonBody[] =
  PER_REQUEST === 0
    ? recorded
    : ((all) =>
        Array.from({ length: Math.floor(all.length / PER_REQUEST) }, (_, at) => ({
          ...recorded[0]!,
          metrics: all.slice(at * PER_REQUEST, (at + 1) * PER_REQUEST),
        })))(recorded.flatMap((body) => body.metrics));

const directory = mkdtempSync(join(tmpdir(), 'mcp-metrics-bench-'));
const path = join(directory, 'metrics.db');
const { db } = openForWriting(path);
const writer = openEventWriter(db, DEFAULT_CAPS);

let now = Date.now() - METRICS * STEP_MS;
let written = 0;
let sequence = 0;
let bodyAt = 0;
const begin = now;

function nextRecord(): DeliveredRecord {
  const body = bodies[bodyAt % bodies.length]!;
  bodyAt += 1;
  sequence += 1;
  for (const metric of body.metrics as Sent[]) {
    now += STEP_MS;
    metric.timestamp = new Date(now).toISOString().replace('Z', '123');
    metric.metadata['request_id'] = `req_${randomBytes(8).toString('hex')}`;
  }
  const metrics = body.metrics.length;
  written += metrics;
  const envelope = {
    f: 'json',
    q: `req_${randomBytes(16).toString('hex')}`,
    t: now + 40,
    k: 'key_0',
    s: 'auth-server',
  };
  return {
    sequence,
    count: written,
    metrics,
    from: 0,
    to: metrics,
    envelope: encoder.encode(JSON.stringify(envelope)),
    payload: encoder.encode(JSON.stringify(body)),
  };
}

let micros = 0;
let since = 0;
console.log('metrics     µs per metric');
while (written < METRICS) {
  const records: DeliveredRecord[] = [];
  const before = written;
  while (written - before < BATCH) records.push(nextRecord());
  const packed = packRecords(records);
  const from = process.hrtime.bigint();
  writer.write(packed, { journalId: 'bench', sequence, count: written });
  micros += Number(process.hrtime.bigint() - from) / 1000;
  since += written - before;
  if (since >= METRICS / 5) {
    console.log(`${String(written).padStart(9)}   ${(micros / since).toFixed(2)}`);
    micros = 0;
    since = 0;
  }
}
db.pragma('wal_checkpoint(TRUNCATE)');
const sizes = db
  .prepare<[], { name: string; bytes: number }>(
    'SELECT name, sum(pgsize) AS bytes FROM dbstat GROUP BY name HAVING bytes > 4096 ORDER BY bytes DESC',
  )
  .all();
const rollups = sizes.filter(({ name }) => name.startsWith('rollup')).reduce((sum, { bytes }) => sum + bytes, 0);
const total = statSync(path).size;
console.log(
  `bytes per metric, rollups apart: ${((total - rollups) / written).toFixed(1)}; rollups ${(rollups / written).toFixed(1)} over ${((now - begin) / 3_600_000).toFixed(1)} h`,
);
for (const { name, bytes } of sizes) console.log(`  ${name.padEnd(32)} ${(bytes / written).toFixed(1)}`);
db.close();
rmSync(directory, { recursive: true });
