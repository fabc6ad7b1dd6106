/**
 * What reading and cleaning cost at 2 million rows over 100 days, and what they cost those who write meanwhile.
 * Run: node --conditions=mcp-metrics-source tests/bench/sqlite-history.ts [metrics=2000000] [database to keep]
 */
import { existsSync, mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { QUERIES } from '../../src/sinks/sqlite/query-names.ts';
import { openStore } from '../../src/sinks/sqlite/store.ts';
import { memoryLog } from '../sinks/sqlite/harness.ts';
import { trafficRecords } from './sqlite-records.ts';

const METRICS = Number(process.argv[2] ?? 2_000_000);
const DAY = 86_400_000;
const now = Math.floor(Date.now() / 3_600_000) * 3_600_000;
const path = process.argv[3] ?? join(mkdtempSync(join(tmpdir(), 'mcp-metrics-bench-')), 'metrics.db');
const filled = existsSync(path);
const store = await openStore(path, { log: memoryLog() });
await store.retention.applyDefaults(90, now);

const traffic = trafficRecords({ start: now - 100 * DAY, stepMs: (100 * DAY) / METRICS, perRequest: 100 });
if (!filled) {
  const from = performance.now();
  while (traffic.checkpoint().count < METRICS) await store.write(traffic.batch(10_000), traffic.checkpoint());
  console.log(`${METRICS} metrics written in ${((performance.now() - from) / 1000).toFixed(1)} s`);
}

/** Batches of 100 metrics, one after the other, as long as `work` takes: how long did each wait for its commit? */
const live = trafficRecords({ start: now - 1000, stepMs: 0, perRequest: 100 });
async function whileWriting<T>(what: string, work: () => Promise<T>): Promise<T> {
  const waits: number[] = [];
  let over = false;
  const writing = (async () => {
    while (!over) {
      const begin = performance.now();
      await store.write(live.batch(100), { ...live.checkpoint(), journalId: `live ${process.pid}` });
      waits.push(performance.now() - begin);
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
  })();
  const begin = performance.now();
  const result = await work();
  const took = performance.now() - begin;
  over = true;
  await writing;
  waits.sort((a, b) => a - b);
  const at = (q: number): string => (waits[Math.floor(q * (waits.length - 1))] ?? 0).toFixed(0);
  console.log(`${what.padEnd(44)} ${took.toFixed(0).padStart(7)} ms   commits: p50 ${at(0.5)}, worst ${at(1)} ms`);
  return result;
}

await whileWriting('nothing, for a second', () => new Promise((resolve) => setTimeout(resolve, 1000)));
await whileWriting('stats', () => store.retention.stats());
await whileWriting('size', () => store.retention.size());
await whileWriting('preview', () => store.retention.preview(now));
for (const name of Object.keys(QUERIES)) {
  for (const from of ['24h', '90d']) {
    const parameters = {
      ...(name === 'user' ? { user_hash: '2b8b66f64b60' } : {}),
      ...(name === 'trend' ? {} : { from }),
    };
    await whileWriting(`query ${name}, ${from}`, () => store.history.answer(name, parameters, now));
    if (name === 'trend') break;
  }
}
await whileWriting('query events of one tool, 90d', () =>
  store.history.answer('events', { view: 'tool_metrics', tool_name: 'initialize', from: '90d' }, now),
);
const report = await whileWriting('cleanup', () => store.retention.cleanup({ now }));
console.log(
  `  ${report.totalDeleted} rows deleted; the longest slice held the writer for ${report.longestHoldMs.toFixed(1)} ms`,
);
const rebuilt = await whileWriting('backfill', () => store.backfill({ now }));
console.log(`  ${rebuilt.hours} hours, ${rebuilt.days} days; the longest hold ${rebuilt.longestHoldMs.toFixed(1)} ms`);
await store.close();
