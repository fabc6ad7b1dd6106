/** History as an operator lives it: the old service's file brought over, policies, cleanup and what a crash or a hang-up does to them. */
import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { type IncomingMessage, request } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import Database from 'better-sqlite3';
import t, { type Test } from 'tap';
import { FROM_SOURCE } from '../support/gateway-command.ts';
import { type RunningGateway, spawnGateway, startGateway } from '../support/gateway.ts';
import { ROOT } from '../support/root.ts';
import { waitFor } from '../support/wait-for.ts';

const DAY = 86_400_000;
/** Slices enough for a kill after the first to come long before the last. */
const OLD_ROWS = 40_000;
const LEGACY_KEY = 'mcp_metrics_of-the-replaced-service';

async function directory(t: Test): Promise<string> {
  const path = await mkdtemp(join(tmpdir(), 'history-'));
  t.teardown(() => rm(path, { recursive: true, force: true }));
  return path;
}

/** A file of the replaced service: one tool execution a minute, the last `rows` minutes before `daysAgo`. */
async function legacyFile(path: string, rows: number, daysAgo: number): Promise<void> {
  const db = new Database(path);
  db.exec(await readFile(join(ROOT, 'tests/fixtures/legacy-schema.sql'), 'utf8'));
  const time = `strftime('%Y-%m-%dT%H:%M:%S', 'now', '-${daysAgo} days', '-' || n || ' minutes') || '.123456'`;
  db.exec(`
    WITH RECURSIVE s (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM s WHERE n < ${rows})
    INSERT INTO metrics (request_id, service, metric_type, timestamp, value, duration_ms, dimensions, metadata)
      SELECT 'req ' || n, 'registry', 'tool_execution', ${time}, 1, n % 50, '{"tool_name":"t' || (n % 7) || '"}', '{}' FROM s;
    INSERT INTO tool_metrics (request_id, timestamp, service, duration_ms, tool_name, success)
      SELECT request_id, timestamp, service, duration_ms, dimensions ->> 'tool_name', 'true' FROM metrics;
    INSERT INTO retention_policies (table_name, retention_days, is_active) VALUES ('auth_metrics', 90, 0);
  `);
  db.prepare(
    "INSERT INTO api_keys (key_hash, service_name, created_at) VALUES (?, 'registry', '2026-01-02 03:04:05')",
  ).run(createHash('sha256').update(LEGACY_KEY).digest('hex'));
  db.close();
}

interface Ran {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

function run({ databasePath, url, scrapeUrl }: RunningGateway, ...args: string[]): Promise<Ran> {
  const [node, ...entry] = FROM_SOURCE;
  const env = {
    PATH: process.env['PATH'] ?? '',
    SQLITE_DB_PATH: databasePath,
    METRICS_SERVICE_PORT: new URL(url).port,
    OTEL_PROMETHEUS_PORT: new URL(scrapeUrl).port,
  };
  return new Promise((resolve) => {
    execFile(node, [...entry, ...args], { cwd: ROOT, env }, (error, stdout, stderr) =>
      resolve({ code: error === null ? 0 : Number(error.code), stdout, stderr }),
    );
  });
}

interface Line {
  readonly progress?: { readonly done: number; readonly total: number; readonly what: string };
  readonly result?: Readonly<Record<string, unknown>>;
}

/** The lines of a long answer over the control socket; leaving the loop hangs up. */
async function* lines(gateway: RunningGateway, path: string, body: object = {}): AsyncGenerator<Line> {
  const sent = request({
    socketPath: join(gateway.dataDirectory, 'control.sock'),
    method: 'POST',
    path,
    headers: { 'content-type': 'application/json', accept: 'application/x-ndjson' },
  });
  const answer = new Promise<IncomingMessage>((resolve, reject) => {
    sent.on('response', resolve);
    sent.on('error', reject);
  });
  sent.end(JSON.stringify(body));
  try {
    let rest = '';
    // Not by readline: what ends the answer, a hang-up or the gateway's death, would be nobody's error there.
    for await (const piece of (await answer).setEncoding('utf8')) {
      const whole = (rest + String(piece)).split('\n');
      rest = whole.pop() ?? '';
      for (const line of whole) if (line !== '') yield JSON.parse(line) as Line;
    }
  } finally {
    sent.destroy();
  }
}

const sql = (gateway: RunningGateway, query: string): unknown => {
  const db = new Database(gateway.databasePath, { readonly: true });
  try {
    return db.prepare(query).pluck().get();
  } finally {
    db.close();
  }
};

t.test(
  'the replaced service’s file is refused as a database, and imported once, a kill in between included',
  async (t) => {
    const dataDirectory = await directory(t);
    const legacy = join(dataDirectory, 'legacy.db');
    await legacyFile(legacy, OLD_ROWS, 1);
    const onLegacy = await spawnGateway({ dataDirectory, env: { SQLITE_DB_PATH: legacy } });
    t.equal((await onLegacy.exited).code === 0, false);
    t.match(onLegacy.output(), `mcp-metrics import ${legacy}`);

    let gateway = await startGateway({ dataDirectory });
    t.teardown(() => gateway.stop());
    let came = 0;
    try {
      for await (const { progress } of lines(gateway, '/admin/import', { path: legacy })) {
        came = progress?.done ?? came;
        gateway.signal('SIGKILL');
      }
    } catch {
      // The connection goes with the gateway.
    }
    await gateway.exited;
    t.ok(came > 0 && came < OLD_ROWS, `killed after ${came} rows`);

    const { port, scrapePort } = {
      port: Number(new URL(gateway.url).port),
      scrapePort: Number(new URL(gateway.scrapeUrl).port),
    };
    gateway = await startGateway({ dataDirectory, port, scrapePort, key: gateway.key });
    const kept = Number(sql(gateway, 'SELECT count(*) FROM metrics'));
    t.ok(kept >= came && kept < OLD_ROWS, `${kept} rows were there after the kill`);
    const rest = await run(gateway, 'import', legacy);
    t.match(rest, { code: 0, stdout: `imported: ${OLD_ROWS - kept}\nalready: ${kept}\n` });
    t.match((await run(gateway, 'import', legacy)).stdout, `imported: 0\nalready: ${OLD_ROWS}\n`);
    t.equal(sql(gateway, 'SELECT count(*) FROM metrics'), OLD_ROWS);
    t.equal(sql(gateway, 'SELECT count(*) FROM tool_metrics WHERE success = 1'), OLD_ROWS);
    t.equal(sql(gateway, 'SELECT sum(count) FROM metrics_hourly'), OLD_ROWS);

    t.equal(
      (await gateway.post({ service: 'registry', metrics: [] }, { 'x-api-key': LEGACY_KEY })).status,
      422,
      'the old key works',
    );
    t.equal((await gateway.post({ service: 'registry', metrics: [] }, { 'x-api-key': 'another' })).status, 401);
    t.notMatch(await gateway.scrape(), /mcp_tool_executions_total\{/, 'live totals know nothing of it');
    t.match(JSON.parse((await run(gateway, 'retention', 'policies', '--json')).stdout), {
      auth_metrics: { retention_days: 90, is_active: false },
      tool_metrics: { is_active: true },
    });
  },
);

t.test('policies, the age that is taken in, and cleanup through hang-ups and a kill', async (t) => {
  const dataDirectory = await directory(t);
  const legacy = join(dataDirectory, 'legacy.db');
  await legacyFile(legacy, OLD_ROWS, 100);
  let gateway = await startGateway({ dataDirectory, env: { FLUSH_INTERVAL_SECONDS: '0.1' } });
  t.teardown(() => gateway.stop());
  const send = async (type: string, daysAgo: number): Promise<number> => {
    const timestamp = new Date(Date.now() - daysAgo * DAY).toISOString();
    const metric = { type, value: 1, timestamp, dimensions: { tool_name: 'new' } };
    return (await gateway.post({ service: 'test', metrics: [metric] })).status;
  };
  t.equal(await send('tool_execution', 91), 422, 'what would be removed at once is not taken in');
  t.equal(await send('tool_execution', 89), 200);
  await run(gateway, 'retention', 'set', 'tool_metrics', '--days', '30');
  t.equal(await send('tool_execution', 89), 422, 'the shorter policy holds at once');
  t.equal(await send('auth_request', 89), 200, 'for its type');
  await run(gateway, 'retention', 'set', 'tool_metrics', '--no-active');
  await run(gateway, 'retention', 'set', 'metrics', '--no-active');
  t.equal(await send('tool_execution', 89), 200, 'with no active policy any age is kept');

  t.match((await run(gateway, 'import', legacy)).stdout, `imported: ${OLD_ROWS}`);
  await gateway.flush();
  const all = OLD_ROWS + 3;
  t.match((await run(gateway, 'retention', 'cleanup')).stdout, 'inactive');
  t.equal(sql(gateway, 'SELECT count(*) FROM metrics'), all, 'inactive policies remove nothing');

  const again = {
    dataDirectory,
    key: gateway.key,
    port: Number(new URL(gateway.url).port),
    scrapePort: Number(new URL(gateway.scrapeUrl).port),
  };
  await gateway.stop();
  gateway = await startGateway({ ...again, env: { LOG_LEVEL: 'info' } });
  t.match(JSON.parse((await run(gateway, 'retention', 'policies', '--json')).stdout), {
    metrics: { is_active: false },
    tool_metrics: { retention_days: 30, is_active: false },
  });
  await run(gateway, 'retention', 'set', 'metrics', '--active');

  for await (const { progress } of lines(gateway, '/admin/retention/cleanup')) if (progress !== undefined) break;
  await waitFor('the cleanup to end with its reader', () => /"cancelled":true|cancelled: true/.test(gateway.output()), {
    deadlineMs: 60_000,
  });
  const afterHangUp = Number(sql(gateway, 'SELECT count(*) FROM metrics'));
  t.ok(afterHangUp < all && afterHangUp > 3, `a hang-up left ${afterHangUp} rows`);

  try {
    for await (const _ of lines(gateway, '/admin/retention/cleanup')) gateway.signal('SIGKILL');
  } catch {
    // The connection goes with the gateway.
  }
  await gateway.exited;
  gateway = await startGateway(again);
  const afterKill = Number(sql(gateway, 'SELECT count(*) FROM metrics'));
  t.ok(afterKill < afterHangUp && afterKill > 3, `a kill left ${afterKill} rows`);
  t.equal(sql(gateway, 'SELECT sum(count) FROM event_counts'), afterKill, 'the counts are right');
  const done = JSON.parse((await run(gateway, 'retention', 'cleanup', '--json')).stdout) as Record<string, unknown>;
  t.match(done, { status: 'completed', total_records_deleted: afterKill - 3 });
  t.ok(Number(done['longest_hold_ms']) > 0);
  t.equal(sql(gateway, 'SELECT count(*) FROM metrics'), 3, 'what is young enough stays');
  t.equal(sql(gateway, 'SELECT sum(count) FROM metrics_daily'), all, 'the rollups keep what is gone');
});
