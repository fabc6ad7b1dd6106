/**
 * All three sinks on, Prometheus scraping, OTLP exporting. First as much as the senders can give: what reaches every sink
 * a second, against bare prepared inserts and against the obvious build, in interleaved rounds. Then a minute at nine
 * tenths of that rate: no queue's age may grow.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { readSamples, sumOf } from '../../support/books.ts';
import { waitFor } from '../../support/wait-for.ts';
import { preparedInserts, type PreparedInserts, removeDatabase } from '../baselines/prepared-inserts.ts';
import { pace, saturate } from '../load.ts';
import { residentMemory, threadCpu } from '../machine.ts';
import { packRecords } from '../../../src/sinks/sqlite/batch-transfer.ts';
import { openForWriting } from '../../../src/sinks/sqlite/database.ts';
import { DEFAULT_CAPS, openEventWriter } from '../../../src/sinks/sqlite/event-writer.ts';
import { recordStream } from '../records.ts';
import { compared, type Figure, median, type Scenario, type Settings } from '../scenario.ts';
import { forkServer, type GatewayUnderTest, startServer } from '../servers.ts';

const LOAD = { metrics: 100, connections: 64 };
const SHARE = 0.9;
const MAX_AGE_GROWTH_S = 1;

interface Reading {
  readonly at: number;
  readonly delivered: number;
  readonly queued: number;
  readonly ages: readonly number[];
  readonly loopDelayP99: number;
}

/** OTLP counts by its exports, seconds apart; it reads the same totals as Prometheus. */
const SINKS = ['sqlite', 'prometheus'];

async function read({ gateway }: GatewayUnderTest): Promise<Reading> {
  const at = performance.now();
  const page = readSamples(await gateway.scrape());
  const of = (name: string, sink: string): number => sumOf(page, name, { sink });
  return {
    at,
    delivered: Math.min(...SINKS.map((sink) => of('mcp_gateway_sink_delivered_total', sink))),
    queued: Math.max(...SINKS.map((sink) => of('mcp_gateway_sink_queued', sink))),
    ages: SINKS.map((sink) => of('mcp_gateway_sink_queue_age_seconds', sink)),
    loopDelayP99: sumOf(page, 'mcp_gateway_event_loop_delay_seconds', { statistic: 'p99' }),
  };
}

/** Metrics a second that reach every sink while senders send as much as is answered. */
async function deliveredPerSecond(server: GatewayUnderTest, seconds: number): Promise<number> {
  const before = await read(server);
  await saturate(server, { ...LOAD, seconds });
  const after = await read(server);
  return ((after.delivered - before.delivered) * 1000) / (after.at - before.at);
}

async function untilEmpty(server: GatewayUnderTest): Promise<void> {
  await waitFor('all queues to be empty', async () => (await read(server)).queued === 0, {
    deadlineMs: 120_000,
    everyMs: 200,
  });
}

async function obviousPerSecond(port: number, seconds: number): Promise<number> {
  const written = async (): Promise<number> => Number(await (await fetch(`http://127.0.0.1:${port}/written`)).text());
  const [start, before] = [performance.now(), await written()];
  await saturate({ url: `http://127.0.0.1:${port}/metrics`, keys: ['none'] }, { ...LOAD, seconds });
  return (((await written()) - before) * 1000) / (performance.now() - start);
}

/** Rows as the sink writes them, for the baseline. */
function rowsToInsert(directory: string, metrics: number): PreparedInserts {
  const path = join(directory, 'rows.db');
  const { db } = openForWriting(path);
  const writer = openEventWriter(db, DEFAULT_CAPS);
  const stream = recordStream({ perRequest: 100, startsAt: Date.now(), stepMs: 0.01 });
  while (stream.checkpoint().count < metrics) writer.write(packRecords(stream.next(10_000)), stream.checkpoint());
  db.close();
  return preparedInserts(path);
}

async function steady(server: GatewayUnderTest, perSecond: number, settings: Settings): Promise<Figure[]> {
  const seconds = settings.small ? 3 : 60;
  const everyMs = settings.small ? 500 : 5000;
  const readings: Reading[] = [];
  const cpu = threadCpu(server.pid);
  const running = pace(server, { ...LOAD, seconds, perSecond: perSecond / LOAD.metrics });
  let done = false;
  void running.finally(() => (done = true)).catch(() => {});
  while (!done) {
    readings.push(await read(server));
    await new Promise((resolve) => setTimeout(resolve, everyMs));
  }
  const result = await running;
  const used = threadCpu(server.pid);
  const metrics = result.ok * LOAD.metrics;
  const oldest = (reading: Reading): number => Math.max(...reading.ages);
  const third = Math.max(1, Math.floor(readings.length / 3));
  const [middle, last] = [readings.slice(third, 2 * third), readings.slice(2 * third)];
  const growth = median(last.map(oldest)) - median((middle.length > 0 ? middle : readings).map(oldest));
  const name = `${seconds} s at nine tenths of it`;
  return [
    { what: `${name}: metrics accepted`, value: metrics / result.seconds, unit: '/s' },
    {
      what: `${name}: requests refused or failed`,
      value: result.refused + result.failed,
      unit: '',
      goal: { atMost: 0 },
    },
    { what: `${name}: oldest metric in a queue, median of the last third`, value: median(last.map(oldest)), unit: 's' },
    {
      what: `${name}: its growth since the middle third`,
      value: growth,
      unit: 's',
      goal: { atMost: MAX_AGE_GROWTH_S },
    },
    { what: `${name}: latency p50 / p99`, value: result.p50, unit: `/ ${result.p99.toFixed(1)} ms` },
    { what: `${name}: CPU of the HTTP thread per metric`, value: (used.main - cpu.main) / 1000 / metrics, unit: 'µs' },
    {
      what: `${name}: CPU of all other threads per metric`,
      value: (used.others - cpu.others) / 1000 / metrics,
      unit: 'µs',
    },
    {
      what: `${name}: event-loop delay p99`,
      value: Math.max(...readings.map(({ loopDelayP99 }) => loopDelayP99)) * 1000,
      unit: 'ms',
      goal: { atMost: 20 },
    },
    { what: `${name}: resident memory`, value: residentMemory(server.pid).now, unit: 'MiB', goal: { atMost: 350 } },
  ];
}

export const scenario: Scenario = async (settings) => {
  const { rounds, small, say } = settings;
  const seconds = small ? 2 : 10;
  const directory = mkdtempSync(join(tmpdir(), 'bench-sustained-'));
  const inserts = rowsToInsert(directory, small ? 20_000 : 300_000);
  const obvious = await forkServer('./baselines/obvious-build.ts');
  const server = await startServer(settings);
  try {
    await deliveredPerSecond(server, small ? 1 : 3);
    await untilEmpty(server);
    const measured: { gateway: number; bare: number; obvious: number }[] = [];
    for (let round = 0; round < rounds; round += 1) {
      say(`round ${round + 1}`);
      const gateway = await deliveredPerSecond(server, seconds);
      await untilEmpty(server);
      const path = join(directory, 'bare.db');
      const bare = 1e6 / inserts.run(path);
      removeDatabase(path);
      measured.push({ gateway, bare, obvious: await obviousPerSecond(obvious.port, seconds) });
    }
    say('steady load');
    const rate = median(measured.map(({ gateway }) => gateway));
    const saturated = { what: 'metrics a second into every sink', unit: '/s' };
    return [
      compared(
        { ...saturated, against: 'bare prepared inserts, nothing else running', goal: { atLeast: 0.6 } },
        measured.map(({ gateway, bare }) => ({ value: gateway, baseline: bare })),
      ),
      compared(
        { ...saturated, against: 'the obvious build', goal: { atLeast: 5 } },
        measured.map((one) => ({ value: one.gateway, baseline: one.obvious })),
      ),
      ...(await steady(server, rate * SHARE, settings)),
    ];
  } finally {
    obvious.child.disconnect();
    await server.stop();
    rmSync(directory, { recursive: true, force: true });
  }
};
