/** Answers from the history agree with what plain counting over the same events says. */
import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import { join } from 'node:path';
import fc from 'fast-check';
import t from 'tap';
import type { JsonBody, JsonMetric } from '../../../src/core/json-events.ts';
import {
  addHistogram,
  bucketOf,
  encodeHistogram,
  type Histogram,
  observe,
  quantile,
} from '../../../src/sinks/sqlite/histogram.ts';
import type { QueryAnswer } from '../../../src/sinks/sqlite/run-query.ts';
import { openStore } from '../../../src/sinks/sqlite/store.ts';
import { memoryLog, recordedBodies, recorder } from './harness.ts';
import { folderOf } from '../../support/folder.ts';

const HOUR = 3_600_000;
const START = Date.UTC(2026, 10, 10);
const NOW = START + 6 * 24 * HOUR;

/** The recorded traffic, spread over six days. */
const bodies = recordedBodies();
interface Sent extends Omit<JsonMetric, 'dimensions'> {
  readonly at: number;
  readonly dimensions: Record<string, unknown>;
}
const sent: Sent[] = [];
const step = (NOW - START) / bodies.length;
const spread: JsonBody[] = bodies.map((body, index) => ({
  ...body,
  metrics: (body.metrics as JsonMetric[]).map((metric) => {
    const at = Math.floor(START + index * step);
    sent.push({ ...metric, at, dimensions: metric.dimensions as Record<string, unknown> });
    return { ...metric, timestamp: new Date(at).toISOString() };
  }),
}));

const path = join(folderOf(t), 'metrics.db');
const store = await openStore(path, { log: memoryLog() });
t.teardown(() => store.close());
await store.retention.applyDefaults(90, NOW);
const { record, end } = recorder();
await store.write(
  spread.map((body) => record(body)),
  end(),
);
const decoder = new TextDecoder();
const ask = async (name: string, parameters: Record<string, unknown> = {}): Promise<QueryAnswer> => {
  const range = { from: String(START), to: String(NOW) };
  return JSON.parse(decoder.decode(await store.history.answer(name, { ...range, ...parameters }, NOW))) as QueryAnswer;
};
const rowsOf = (lines: Uint8Array): Record<string, unknown>[] =>
  decoder
    .decode(lines)
    .split('\n')
    .slice(0, -1)
    .map((line) => JSON.parse(line) as Record<string, unknown>);
const tools = sent.filter(({ type }) => type === 'tool_execution');

const tally = (metrics: readonly Sent[], label: string): Map<unknown, number> => {
  const counts = new Map<unknown, number>();
  for (const { dimensions } of metrics) counts.set(dimensions[label], (counts.get(dimensions[label]) ?? 0) + 1);
  return counts;
};
const asMap = (rows: readonly object[], label: string): Map<unknown, number> =>
  new Map((rows as Record<string, unknown>[]).map((row) => [row[label], Number(row['count'])]));
const exactQuantile = (values: number[], q: number): number =>
  values.toSorted((a, b) => a - b)[Math.max(0, Math.ceil(q * values.length) - 1)]!;

t.test('top tools, servers and clients', async (t) => {
  for (const [query, label] of [
    ['top-tools', 'tool_name'],
    ['top-servers', 'server_name'],
    ['top-clients', 'client_name'],
  ] as const) {
    const answer = await ask(query, { limit: 100 });
    t.strictSame(asMap(answer.rows, label), tally(tools, label), query);
    const counts = (answer.rows as { count: number }[]).map(({ count }) => count);
    t.strictSame(
      counts,
      counts.toSorted((a, b) => b - a),
      'most first',
    );
    t.equal(answer.total, answer.rows.length);
  }
  const { rows } = await ask('top-tools', { server_name: 'atlassian', limit: 100 });
  t.strictSame(
    asMap(rows, 'tool_name'),
    tally(
      tools.filter(({ dimensions }) => dimensions['server_name'] === 'atlassian'),
      'tool_name',
    ),
  );
  t.strictSame((await ask('top-tools', { service: 'nobody' })).rows, []);
});

t.test('pages of an answer are the whole of it', async (t) => {
  const whole = await ask('top-tools', { limit: 1000 });
  const rows: object[] = [];
  for await (const page of store.history.lines('top-tools', { from: String(START), to: String(NOW), limit: 5 }, NOW)) {
    t.ok(rowsOf(page).length <= 5);
    rows.push(...rowsOf(page));
  }
  t.strictSame(rows, whole.rows);
});

t.test('success rates and latency percentiles', async (t) => {
  const { rows } = await ask('success-rates', { type: 'tool_execution', by: 'server_name' });
  for (const row of rows as Record<string, number | string>[]) {
    const own = tools.filter(({ dimensions }) => dimensions['server_name'] === row['server_name']);
    const succeeded = own.filter(({ dimensions }) => dimensions['success'] === true).length;
    t.ok(Math.abs(Number(row['success_rate']) - succeeded / own.length) < 1e-5, String(row['server_name']));
    t.equal(row['failures'], own.length - succeeded);
    const durations = own.map(({ duration_ms: ms }) => Number(ms));
    for (const [name, q] of [
      ['p50_ms', 0.5],
      ['p95_ms', 0.95],
      ['p99_ms', 0.99],
    ] as const) {
      const exact = exactQuantile(durations, q);
      t.ok(Math.abs(Number(row[name]) / exact - 1) < 0.0906, `${name} ${row[name]} against ${exact}`);
    }
    const mean = durations.reduce((sum, ms) => sum + ms, 0) / durations.length;
    t.ok(Math.abs(Number(row['avg_ms']) / mean - 1) < 1e-5);
  }
});

t.test('latency and requests over time leave no hour out', async (t) => {
  const from = START + 5.5 * HOUR;
  const to = START + 30.25 * HOUR;
  const { rows, ...range } = await ask('requests', { from: String(from), to: String(to), step: 'hour' });
  t.strictSame([range.from, range.to], ['2026-11-10T05:00:00.000Z', '2026-11-11T07:00:00.000Z']);
  t.equal(rows.length, 26);
  const expected = Array.from({ length: 26 }, (_, at) => {
    const begin = START + (5 + at) * HOUR;
    return sent.filter((metric) => metric.at >= begin && metric.at < begin + HOUR).length;
  });
  t.strictSame(
    (rows as { count: number }[]).map(({ count }) => count),
    expected,
  );
  const days = await ask('latency', { type: 'protocol_latency', step: 'day' });
  t.equal(days.rows.length, 6);
  const first = days.rows[0] as { p50_ms: number; count: number };
  const values = sent
    .filter(({ type, at }) => type === 'protocol_latency' && at < START + 24 * HOUR)
    .map(({ value }) => value * 1000);
  t.equal(first.count, values.length);
  t.ok(Math.abs(first.p50_ms / exactQuantile(values, 0.5) - 1) < 0.0906);
});

t.test('a range that begins and ends within days adds hours to whole days', async (t) => {
  await fc.assert(
    fc.asyncProperty(fc.integer({ min: 0, max: 143 }), fc.integer({ min: 1, max: 144 }), async (first, hours) => {
      const from = START + first * HOUR;
      const to = Math.min(NOW, from + hours * HOUR);
      const { rows } = await ask('top-servers', { from: String(from), to: String(to), limit: 100 });
      const total = (rows as { count: number }[]).reduce((sum, { count }) => sum + count, 0);
      const expected = tools.filter(({ at }) => at >= from && at < to).length;
      if (total !== expected) throw new Error(`${total} instead of ${expected}`);
    }),
    { numRuns: 40 },
  );
  t.pass('40 ranges');
});

t.test('the thread for answers from rollups may be started before the first question', async (t) => {
  const started: unknown[] = [];
  const count = (message: unknown): unknown => started.push(message);
  subscribe('worker_threads', count);
  t.teardown(() => unsubscribe('worker_threads', count));
  const other = await openStore(join(folderOf(t), 'metrics.db'), { log: memoryLog() });
  t.equal(started.length, 1, 'the writer');
  other.prepareHistory();
  t.equal(started.length, 2, 'the reader');
  t.match(JSON.parse(decoder.decode(await other.history.answer('top-tools', {}, NOW))), { rows: [] });
  await other.retention.stats();
  t.equal(started.length, 2, 'which answers');
  await other.close();
  const closedAtOnce = await openStore(join(folderOf(t), 'other.db'), { log: memoryLog() });
  closedAtOnce.prepareHistory();
  await closedAtOnce.close();
});

t.test('protocol flows and errors by code', async (t) => {
  const flows = await ask('flows', { by: 'flow_step' });
  t.strictSame(
    asMap(flows.rows, 'flow_step'),
    tally(
      sent.filter(({ type }) => type === 'protocol_latency'),
      'flow_step',
    ),
  );
  const errors = await ask('errors', { type: 'auth_request' });
  const failed = sent.filter(({ type, dimensions }) => type === 'auth_request' && dimensions['success'] === false);
  const codes = new Map<unknown, number>();
  for (const { metadata } of failed) {
    const code = (metadata as Record<string, unknown>)['error_code'];
    codes.set(code, (codes.get(code) ?? 0) + 1);
  }
  t.strictSame(asMap(errors.rows, 'error_code'), codes);
  const said = await ask('errors', { type: 'auth_request', success: 'false' });
  t.strictSame(said.rows, errors.rows, 'what it does anyway may be said');
});

t.test('a user’s activity, newest first, page by page', async (t) => {
  const userHash = '2b8b66f64b60';
  const own = sent.filter(
    ({ type, dimensions }) =>
      (type === 'auth_request' || type === 'tool_execution') && dimensions['user_hash'] === userHash,
  );
  const rows: Record<string, unknown>[] = [];
  const parameters = { from: String(START), to: String(NOW), user_hash: userHash, limit: 7 };
  for await (const page of store.history.lines('user', parameters, NOW)) rows.push(...rowsOf(page));
  t.equal(rows.length, own.length);
  t.equal(new Set(rows.map(({ id }) => id)).size, own.length);
  t.ok(rows.every((row, at) => at === 0 || Number(row['timestamp']) <= Number(rows[at - 1]!['timestamp'])));
  t.match(rows[0], { dimensions: { user_hash: userHash } });
  await t.rejects(ask('user'), { name: 'InvalidQuery', message: /user_hash/ });
});

t.test('single metrics by filters', async (t) => {
  const { rows, next } = await ask('events', {
    view: 'tool_metrics',
    client_name: 'Claude Code',
    success: 'false',
    limit: 1000,
  });
  const expected = tools.filter(
    ({ dimensions }) => dimensions['client_name'] === 'Claude Code' && dimensions['success'] === false,
  );
  t.equal(rows.length, expected.length);
  t.equal(next, undefined);
  const first = await ask('events', { limit: 10 });
  const second = await ask('events', { limit: 10, after: first.next });
  const both = await ask('events', { limit: 20 });
  t.strictSame([...first.rows, ...second.rows], both.rows);
});

t.test('what cannot be read is refused by name, and nothing reaches SQL', async (t) => {
  for (const [name, parameters, message] of [
    ['top-users', {}, /top-users: no such query; there are top-tools/],
    ['top-tools', { form: '1d' }, /form: no such parameter/],
    ['top-tools', { from: 'yesterday' }, /from: expected a time/],
    ['top-tools', { from: String(NOW), to: String(START) }, /from: must lie before to/],
    ['top-tools', { limit: '0' }, /limit/],
    ['top-tools', { limit: 'all' }, /limit/],
    ['success-rates', { by: 'service; DROP TABLE events' }, /by/],
    ['events', { view: 'api_keys' }, /view/],
    ['events', { view: 'metrics', tool_name: 'x' }, /tool_name: metrics is not picked by it/],
    ['latency', { type: 'auth_request', tool_name: 'x' }, /tool_name: auth_request has no such label/],
    ['events', { after: '1-2-3' }, /after/],
    ['requests', { by: 'service' }, /by: requests does not take it; it takes from, to, limit, type, step/],
    ['top-tools', { user_hash: 'x' }, /user_hash: top-tools does not take it/],
    ['errors', { success: 'true' }, /success: errors is about success=false alone/],
    ['user', { user_hash: 'x', offset: '5' }, /offset: user does not take it/],
    ['trend', { service: 'x' }, /service: trend does not take it/],
  ] as const) {
    await t.rejects(ask(name, parameters), { name: 'InvalidQuery', message }, JSON.stringify([name, parameters]));
  }
  const hostile = await ask('events', { view: 'tool_metrics', tool_name: "' OR 1=1; --" });
  t.strictSame(hostile.rows, []);
});

t.test('the trend counts days, and projects growth up to retention', async (t) => {
  const answer = await ask('trend', { days: 6, horizon_days: 365, limit_bytes: 10 ** 12 });
  t.strictSame(
    (answer.rows as { count: number }[]).map(({ count }) => count),
    Array.from({ length: 6 }, (_, day) => {
      const begin = START + day * 24 * HOUR;
      return sent.filter(({ at }) => at >= begin && at < begin + 24 * HOUR).length;
    }),
  );
  const summary = answer.summary as {
    events_per_day: number;
    limit_reached: string | null;
    projection: { bytes: number; events: number }[];
  };
  t.ok(summary.events_per_day > 400 && summary.events_per_day < 800);
  t.equal(summary.limit_reached, null);
  t.equal(summary.projection.length, 365);
  const small = await ask('trend', { days: 6, limit_bytes: 3_000_000 });
  t.match((small.summary as typeof summary).limit_reached, /^20\d\d-\d\d-\d\d$/);
});

t.test('a quantile of the histogram lies within 9.1 % of the exact one', async (t) => {
  fc.assert(
    fc.property(
      fc.array(fc.double({ min: 0.001, max: 86_400_000, noNaN: true }), { minLength: 1, maxLength: 200 }),
      fc.double({ min: 0, max: 1, noNaN: true }),
      (values, q) => {
        const histogram: Histogram = new Map();
        for (const value of values) observe(histogram, value);
        const exact = exactQuantile(values, q);
        const read = quantile(histogram, q)!;
        if (Math.abs(read / exact - 1) > 0.0906) throw new Error(`${read} instead of ${exact}`);
      },
    ),
  );
  t.equal(quantile(new Map(), 0.5), undefined);
  t.equal(quantile(new Map([[bucketOf(0), 3]]), 0.5), 0);
  t.equal(quantile(new Map([[bucketOf(100), 1]]), 0.5, 100, 100), 100, 'never beyond what was observed');
});

t.test('a histogram’s text is JSON, and comes back as what it was', async (t) => {
  fc.assert(
    fc.property(fc.array(fc.tuple(fc.integer({ min: -41, max: 200 }), fc.nat({ max: 2 ** 40 }))), (entries) => {
      const histogram: Histogram = new Map(entries);
      const text = encodeHistogram(histogram);
      const read: Histogram = new Map();
      addHistogram(read, text);
      addHistogram(read, text);
      const twice = Object.entries(JSON.parse(text) as Record<string, number>).map(([at, count]) => [at, 2 * count]);
      if (JSON.stringify(Object.fromEntries(read)) !== JSON.stringify(Object.fromEntries(twice))) throw new Error(text);
    }),
  );
  t.pass('any histogram');
});
