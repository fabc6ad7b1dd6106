/** Rollups: right at once, bounded, and the same to the last bit when they are made anew. */
import { join } from 'node:path';
import Database from 'better-sqlite3';
import fc from 'fast-check';
import t, { type Test } from 'tap';
import type { JsonMetric } from '../../../src/core/json-events.ts';
import { METRIC_TYPES } from '../../../src/core/metric.ts';
import type { WriterCaps } from '../../../src/sinks/sqlite/writer-caps.ts';
import { openStore } from '../../../src/sinks/sqlite/store.ts';
import { memoryLog, query, recorder } from './harness.ts';
import { folderOf } from '../../support/folder.ts';

const HOUR = 3_600_000;
const DAY = 24 * HOUR;
const NOW = Date.UTC(2026, 10, 22, 12);

const open = async (t: Test, caps: Partial<WriterCaps> = {}, path = join(folderOf(t), 'metrics.db')) => {
  const store = await openStore(path, { log: memoryLog(), caps });
  t.teardown(() => store.close());
  await store.retention.applyDefaults(90, NOW);
  const { record, end } = recorder();
  const write = (metrics: JsonMetric[], service = 's'): Promise<void> =>
    store.write([record({ service, metrics })], end());
  /** Rollups by what they are about, without the ids that a rebuild may give anew. */
  const rollups = (): Record<string, unknown>[] =>
    ['metrics_hourly', 'metrics_daily']
      .flatMap((view) => query(path, `SELECT * FROM ${view}`))
      .toSorted((a, b) => (JSON.stringify(a) < JSON.stringify(b) ? -1 : 1));
  const damage = (sql: string): void => {
    const db = new Database(path);
    db.exec(sql);
    db.exec('UPDATE writer_state SET dictionary_generation = dictionary_generation + 1');
    db.close();
  };
  return { store, path, write, rollups, damage };
};

const tool = (timestamp: number, ms: number, name: string, success = true): JsonMetric => ({
  type: 'tool_execution',
  value: 1,
  timestamp: new Date(timestamp).toISOString(),
  duration_ms: ms,
  dimensions: { tool_name: name, method: 'tools/call', success },
});

t.test('count, sum, least, greatest and histogram by hour and day, late events included', async (t) => {
  const { write, path } = await open(t);
  const hour = NOW - 5 * HOUR;
  await write([tool(hour, 10, 'a'), tool(hour + HOUR - 1, 40, 'a'), tool(hour + HOUR, 1000, 'a')]);
  await write([tool(hour + 1, 0, 'a'), tool(hour, 7, 'b', false)]);
  const rows = query(
    path,
    'SELECT hour, time, tool_name, success, count, sum_value, avg_value, duration_count, duration_sum_ms, duration_min_ms, duration_max_ms, histogram FROM metrics_hourly ORDER BY hour, tool_name',
  );
  t.match(rows, [
    {
      hour,
      time: new Date(hour).toISOString().replace('.000', ''),
      tool_name: 'a',
      success: 1,
      count: 3,
      sum_value: 3,
      avg_value: 1,
      duration_count: 3,
      duration_sum_ms: 50,
      duration_min_ms: 0,
      duration_max_ms: 40,
      histogram: '{"-41":1,"13":1,"21":1}',
    },
    { hour, tool_name: 'b', success: 0, count: 1 },
    { hour: hour + HOUR, tool_name: 'a', count: 1, duration_sum_ms: 1000 },
  ]);
  t.match(query(path, 'SELECT time, sum(count) AS n FROM metrics_daily'), [{ time: '2026-11-22', n: 5 }]);
});

t.test('protocol latency’s histogram takes its value', async (t) => {
  const { write, path } = await open(t);
  await write([
    {
      type: 'protocol_latency',
      value: 0.25,
      timestamp: new Date(NOW).toISOString(),
      duration_ms: 9999,
      dimensions: { flow_step: 'full_protocol_flow', server_name: 'x' },
    },
  ]);
  t.match(query(path, 'SELECT duration_sum_ms, sum_value, flow_step FROM metrics_hourly'), [
    { duration_sum_ms: 250, sum_value: 0.25, flow_step: 'full_protocol_flow' },
  ]);
});

t.test('beyond the cap, series of an hour count in one row per type', async (t) => {
  const { write, path, rollups, store, damage } = await open(t, { maxHourlyRows: 3, maxDailyRows: 5 });
  const names = ['a', 'b', 'c', 'd', 'e', 'f', 'g', 'a', 'd'];
  await write(names.slice(0, 5).map((name) => tool(NOW, 1, name)));
  await write(names.slice(5).map((name) => tool(NOW, 1, name)));
  await write([{ type: 'custom', value: 1, timestamp: new Date(NOW).toISOString(), dimensions: { metric_name: 'm' } }]);
  t.strictSame(
    query(path, 'SELECT tool_name, service, overflow, count FROM metrics_hourly ORDER BY tool_name IS NULL, 1, 4'),
    [
      { tool_name: 'a', service: 's', overflow: 0, count: 2 },
      { tool_name: 'b', service: 's', overflow: 0, count: 1 },
      { tool_name: 'c', service: 's', overflow: 0, count: 1 },
      { tool_name: null, service: '_other', overflow: 1, count: 1 },
      { tool_name: null, service: '_other', overflow: 1, count: 5 },
    ],
  );
  t.strictSame(query(path, 'SELECT sum(count) AS n, sum(overflow = 0) AS own FROM metrics_daily'), [{ n: 10, own: 5 }]);
  const before = rollups();
  damage('DELETE FROM rollup_hourly; DELETE FROM rollup_daily; DELETE FROM rollup_series');
  await store.backfill({ now: NOW });
  t.strictSame(rollups(), before, 'a rebuild applies the cap in the same order');
});

t.test('a rebuild gives the same numbers to the last bit, whatever was sent and in however many batches', async (t) => {
  const path = join(folderOf(t), 'metrics.db');
  const { write, rollups, store, damage } = await open(t, { maxHourlyRows: 6, maxDailyRows: 9 }, path);
  const metric = fc.record({
    type: fc.constantFrom(...METRIC_TYPES),
    value: fc.double({ min: -1e6, max: 1e6, noNaN: true }),
    timestamp: fc.integer({ min: NOW - 3 * DAY, max: NOW }).map((at) => new Date(at).toISOString()),
    duration_ms: fc.option(fc.double({ min: 0, max: 1e6, noNaN: true })),
    dimensions: fc.record(
      {
        success: fc.constantFrom(true, false, 'true', '1', '0', 'maybe', 1, ' 1', '0x1', '1e0'),
        tool_name: fc.constantFrom('a', 'b', 5, true, 'n'.repeat(120)),
        client_name: fc.constantFrom('x', 'y', 7),
        metric_name: fc.constantFrom('m', 'k'),
        healthy: fc.constantFrom(true, 'no', '1'),
        status_code: fc.constantFrom(200, '200', 500),
        error_code: fc.constantFrom('401', ''),
      },
      { requiredKeys: [] },
    ),
    metadata: fc.record({ error_code: fc.constantFrom('e1', 5, null, { deep: 1 }) }, { requiredKeys: [] }),
  });
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.tuple(fc.constantFrom('s1', 's2'), fc.array(metric, { minLength: 1, maxLength: 15 })), {
        minLength: 1,
        maxLength: 4,
      }),
      async (batches) => {
        for (const [service, metrics] of batches) await write(metrics, service);
        const before = rollups();
        damage('DELETE FROM rollup_hourly; DELETE FROM rollup_daily; DELETE FROM rollup_series');
        await store.backfill({ now: NOW });
        t.strictSame(rollups(), before);
        if (!t.passing()) throw new Error('not the same');
      },
    ),
    { numRuns: 15 },
  );
});

t.test('a rebuild leaves alone what retention may have touched, and can be cancelled', async (t) => {
  const { write, path, store, damage } = await open(t);
  const edge = NOW - 90 * DAY;
  await write([tool(edge + 1, 1, 'cut'), tool(edge + DAY, 1, 'whole'), tool(NOW, 1, 'now')]);
  damage('UPDATE rollup_hourly SET count = 77; UPDATE rollup_daily SET count = 77');
  const progress: number[] = [];
  const report = await store.backfill({ now: NOW, onProgress: (done, total) => progress.push(done / total) });
  t.equal(progress.at(-1), 1);
  t.match(report, { cancelled: false, from: new Date(edge).toISOString() });
  const counts = (view: string) => query(path, `SELECT tool_name, count FROM ${view} ORDER BY time`);
  t.strictSame(counts('metrics_hourly'), [
    { tool_name: 'cut', count: 1 },
    { tool_name: 'whole', count: 1 },
    { tool_name: 'now', count: 1 },
  ]);
  t.strictSame(counts('metrics_daily'), [
    { tool_name: 'cut', count: 77 },
    { tool_name: 'whole', count: 1 },
    { tool_name: 'now', count: 1 },
  ]);
  const cancel = new AbortController();
  const cancelled = await store.backfill({ now: NOW, signal: cancel.signal, onProgress: () => cancel.abort() });
  t.match(cancelled, { cancelled: true, hours: 1, days: 0 }, 'after the first day, which is not there whole');
});

t.test('rollups of what a shorter policy once took stay, when the policy is longer again', async (t) => {
  const { write, path, store } = await open(t);
  await write([tool(NOW - 20 * DAY, 1, 'gone'), tool(NOW, 1, 'kept')]);
  await store.retention.update('tool_metrics', { retentionDays: 7 }, NOW);
  await store.retention.cleanup({ now: NOW });
  await store.retention.update('tool_metrics', { retentionDays: 90 }, NOW);
  await store.backfill({ now: NOW });
  t.strictSame(query(path, 'SELECT tool_name FROM metrics_daily ORDER BY day'), [
    { tool_name: 'gone' },
    { tool_name: 'kept' },
  ]);
});

t.test('events that arrive during a rebuild are counted once', async (t) => {
  const { write, path, store } = await open(t);
  await write(Array.from({ length: 300 }, (_, at) => tool(NOW - at * 600_000, 1, 'a')));
  const rebuilding = store.backfill({ now: NOW });
  for (let batch = 0; batch < 20; batch += 1) await write([tool(NOW - batch * 600_000, 1, 'a')]);
  await rebuilding;
  for (const view of ['metrics_hourly', 'metrics_daily']) {
    t.strictSame(query(path, `SELECT sum(count) AS n FROM ${view}`), [{ n: 320 }], view);
  }
});

t.test('what is written after a rebuild adds to the rebuilt rows, not to what was remembered of them', async (t) => {
  const { write, path, store } = await open(t);
  const counts = (): unknown[] =>
    ['metrics_hourly', 'metrics_daily'].flatMap((view) =>
      query(path, `SELECT tool_name, count FROM ${view} ORDER BY 1`),
    );
  await write([tool(NOW, 1, 'a'), tool(NOW, 1, 'a'), tool(NOW, 1, 'a'), tool(NOW, 1, 'b')]);
  const db = new Database(path);
  db.exec('DELETE FROM events WHERE id IN (2, 4)');
  db.close();
  await store.backfill({ now: NOW });
  t.strictSame(
    counts(),
    Array.from({ length: 2 }, () => ({ tool_name: 'a', count: 2 })),
  );
  await write([tool(NOW, 1, 'a'), tool(NOW, 1, 'b')]);
  const both = [
    { tool_name: 'a', count: 3 },
    { tool_name: 'b', count: 1 },
  ];
  t.strictSame(counts(), [...both, ...both]);
});
