/** A collector that is down in every way there is, under load: nobody else notices, and nothing is missing afterwards. */
import t from 'tap';
import { type Behaviour, startCollector } from '../sinks/otel/collector.ts';
import { startGateway } from '../support/gateway.ts';
import { waitFor } from '../support/wait-for.ts';
import { folderOf } from '../support/folder.ts';

/** Seconds of each kind of outage; 3 unless `OUTAGE_SECONDS` says otherwise. */
const SECONDS = Number(process.env['OUTAGE_SECONDS'] ?? 3);
const EXPORT_INTERVAL_MS = 200;
const MAX_RESIDENT_BYTES = 350 * 1024 * 1024;

const OUTAGES: readonly (readonly [string, Behaviour])[] = [
  ['takes and never answers', 'hang'],
  ['resets the connection', 'reset'],
  ['breaks off in the middle of its answer', 'half'],
  ['answers 500', { status: 500 }],
  ['answers 400', { status: 400 }],
  ['answers 429 with Retry-After', { status: 429, retryAfter: '60' }],
];

const metric = { type: 'tool_execution', value: 1, duration_ms: 5, dimensions: { tool_name: 'search', success: true } };
const COUNTER = /^mcp_tool_executions_total\{.*\} (\d+)$/m;

t.test('a collector’s outage is its own', { timeout: OUTAGES.length * SECONDS * 2000 + 120_000 }, async (t) => {
  const collector = await startCollector();
  t.teardown(collector.close);
  const gateway = await startGateway({
    dataDirectory: folderOf(t),
    env: {
      OTEL_EXPORTER_OTLP_ENDPOINT: collector.url,
      OTEL_EXPORTER_OTLP_TIMEOUT: '500',
      OTEL_METRIC_EXPORT_INTERVAL: String(EXPORT_INTERVAL_MS),
      FLUSH_INTERVAL_SECONDS: '1',
    },
  });
  t.teardown(() => gateway.stop('SIGKILL'));

  let sent = 0;
  const send = async (): Promise<void> => {
    const answer = await gateway.post({ service: 'test', metrics: Array.from({ length: 20 }, () => metric) });
    t.equal(answer.status, 200);
    sent += 20;
  };
  const scraped = async (): Promise<number> => Number(COUNTER.exec(await gateway.scrape())?.[1] ?? 0);
  const read = async (name: string): Promise<number> =>
    Number(new RegExp(`^${name} (\\d+)$`, 'm').exec(await gateway.scrape())?.[1]);
  const pushed = (): number =>
    collector.taken
      .at(-1)
      ?.metrics.filter(({ name }) => name === 'mcp_tool_executions_total')
      .flatMap(({ points }) => points)
      .reduce((sum, { value = 0 }) => sum + value, 0) ?? 0;

  await send();
  await waitFor('the first export', () => pushed() === sent);

  for (const [what, behaviour] of OUTAGES) {
    await t.test(`a collector that ${what}`, async (t) => {
      collector.behaviour = behaviour;
      const before = collector.taken.length;
      const until = performance.now() + SECONDS * 1000;
      while (performance.now() < until) {
        await send();
        const now = sent;
        await waitFor('a scrape that shows it', async () => (await scraped()) >= now, { deadlineMs: 5_000 });
      }
      const inSqlite = async (): Promise<boolean> =>
        (await read('mcp_gateway_sink_delivered_total\\{sink="sqlite"\\}')) === sent;
      await waitFor('SQLite to have it all meanwhile', inSqlite);
      t.ok((await read('process_resident_memory_bytes')) < MAX_RESIDENT_BYTES, 'memory stayed within its bound');
      t.equal(collector.taken.length, before, 'nothing was taken');
      collector.behaviour = 'ok';
      await waitFor('an export of everything', () => pushed() === sent, { deadlineMs: 60_000 });
      t.equal(pushed(), await scraped());
    });
  }

  await gateway.flush();
  t.equal(await read('mcp_gateway_sink_delivered_total\\{sink="sqlite"\\}'), sent, 'SQLite has it all');
  // An export before the first metric has no such counter yet.
  const increasing = collector.taken.map(
    ({ metrics }) =>
      metrics
        .find(({ name }) => name === 'mcp_tool_executions_total')
        ?.points.reduce((sum, { value = 0 }) => sum + value, 0) ?? 0,
  );
  t.same(
    increasing,
    increasing.toSorted((a, b) => a - b),
    'what arrived never went back',
  );
});
