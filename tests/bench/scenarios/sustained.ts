/**
 * All three sinks on, scrapes and OTLP exports going on: the highest rate that can be kept, every queue's age flat.
 * Interleaved rounds look for it: a paced load, then bare prepared inserts, then the obvious build as fast as it goes. A
 * minute at the rate found has to show it; half of it is where latency is judged.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { packRecords } from '../../../src/core/record-transfer.ts';
import { openForWriting } from '../../../src/sinks/sqlite/database.ts';
import { openEventWriter } from '../../../src/sinks/sqlite/event-writer.ts';
import { DEFAULT_CAPS } from '../../../src/sinks/sqlite/writer-caps.ts';
import { preparedInserts, type PreparedInserts, removeDatabase } from '../baselines/prepared-inserts.ts';
import { saturate } from '../load.ts';
import { compiled } from '../compiled.ts';
import { recordStream } from '../records.ts';
import { type Figure, median, type Scenario } from '../scenario.ts';
import { forkServer, type GatewayUnderTest, startServer } from '../servers.ts';
import { LOAD, type SteadyLoad, steadyLoad, untilEmpty } from '../steady-load.ts';

/** Where the search begins: the share of bare inserts that is the goal. */
const GOAL = 0.6;
const STEP = 1.15;
/** Of the rate found, where a minute shows that it cannot be kept. */
const STEP_DOWN = 0.92;
const ATTEMPTS = 4;

async function obviousPerSecond(port: number, seconds: number): Promise<number> {
  const scrape = async (): Promise<unknown> => (await fetch(`http://127.0.0.1:${port}/scrape`)).text();
  // One that fails is not measured: the load beside it says what is wrong.
  const scraping = setInterval(() => void scrape().catch(() => {}), 5000);
  const written = async (): Promise<number> => Number(await (await fetch(`http://127.0.0.1:${port}/written`)).text());
  const [start, before] = [performance.now(), await written()];
  await saturate({ url: `http://127.0.0.1:${port}/metrics`, keys: ['none'] }, { ...LOAD, seconds });
  clearInterval(scraping);
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

const outcome = ({ offered, accepted, lost, p99, growth, flat }: SteadyLoad): string =>
  `of ${Math.round(offered)}/s ${Math.round(accepted)} accepted, ${lost} requests lost, p99 ${Math.round(p99)} ms, the queues' age grew by ${growth.toFixed(2)} s: ${flat ? 'kept up' : 'too much'}`;

/** The minute: at the rate found, and lower where it shows that this was too much. */
async function keep(
  server: GatewayUnderTest,
  rate: number,
  seconds: number,
  say: (text: string) => void,
): Promise<SteadyLoad> {
  for (let attempt = 1; ; attempt += 1) {
    await untilEmpty(server);
    say(`${seconds} s at ${Math.round(rate)} metrics a second`);
    const shown = await steadyLoad(server, rate, seconds);
    say(outcome(shown));
    if (shown.flat || attempt === ATTEMPTS) return shown;
    rate *= STEP_DOWN;
  }
}

function figures(kept: SteadyLoad, half: SteadyLoad, seconds: number, bare: number, obvious: number): Figure[] {
  const what = 'metrics a second into every sink, kept up';
  const during = `${seconds} s of it`;
  return [
    {
      what,
      value: kept.accepted,
      unit: '/s',
      baseline: { what: 'bare prepared inserts, nothing else running', value: bare },
      ratio: kept.accepted / bare,
      goal: { atLeast: GOAL },
    },
    {
      what,
      value: kept.accepted,
      unit: '/s',
      baseline: { what: 'the obvious build', value: obvious },
      ratio: kept.accepted / obvious,
      goal: { atLeast: 5 },
    },
    { what: `${during}: requests refused or failed`, value: kept.lost, unit: '', goal: { atMost: 0 } },
    { what: `${during}: oldest metric in a queue, median of the last third`, value: kept.age, unit: 's' },
    {
      what: `${during}: its growth since the middle third`,
      value: kept.growth,
      unit: 's',
      goal: { atMost: 0.6 },
    },
    { what: `${during}: latency p50 / p99`, value: kept.p50, unit: `/ ${kept.p99.toFixed(1)} ms` },
    { what: `${during}: CPU of the HTTP thread per metric`, value: kept.mainCpu, unit: 'µs' },
    { what: `${during}: CPU of all other threads per metric`, value: kept.otherCpu, unit: 'µs' },
    { what: `${during}: event-loop delay p99`, value: kept.loopDelayP99, unit: 'ms', goal: { atMost: 20 } },
    { what: `${during}: resident memory`, value: kept.resident, unit: 'MiB', goal: { atMost: 350 } },
    { what: 'half of that rate: latency p50', value: half.p50, unit: 'ms' },
    { what: 'half of that rate: latency p99', value: half.p99, unit: 'ms', goal: { atMost: 10 } },
    { what: 'half of that rate: resident memory', value: half.resident, unit: 'MiB' },
  ];
}

export const scenario: Scenario = async (settings) => {
  const { rounds, small, say } = settings;
  const seconds = small ? 2 : 12;
  const minute = small ? 3 : 60;
  const directory = mkdtempSync(join(tmpdir(), 'bench-sustained-'));
  const inserts = rowsToInsert(directory, small ? 20_000 : 200_000);
  const collector = await forkServer('./byte-counter.ts');
  const obvious = await forkServer('./baselines/obvious-build.ts', [`http://127.0.0.1:${collector.port}`]);
  // As the package runs: from source, stripping types takes some 60 MiB more.
  const server = await startServer(settings, small ? {} : { command: compiled(), pipeline: 'package' });
  try {
    await steadyLoad(server, small ? 2000 : 10_000, small ? 1 : 5);
    const measured: { bare: number; obvious: number }[] = [];
    let rate = 0;
    let best = 0;
    for (let round = 0; round < rounds; round += 1) {
      const path = join(directory, 'bare.db');
      const bare = 1e6 / inserts.run(path);
      removeDatabase(path);
      measured.push({ bare, obvious: await obviousPerSecond(obvious.port, small ? 2 : 6) });
      if (round === 0) rate = bare * GOAL;
      await untilEmpty(server);
      const shown = await steadyLoad(server, rate, seconds);
      const { flat } = shown;
      say(`round ${round + 1}: ${outcome(shown)}`);
      if (flat) best = Math.max(best, rate);
      rate = flat ? rate * STEP : rate / STEP;
    }
    const kept = await keep(server, best === 0 ? rate : best, minute, say);
    await untilEmpty(server);
    const half = await steadyLoad(server, kept.accepted / 2, minute);
    const [bare, obviously] = (['bare', 'obvious'] as const).map((which) => median(measured.map((one) => one[which])));
    return figures(kept, half, minute, bare!, obviously!);
  } finally {
    obvious.child.disconnect();
    collector.child.kill();
    await server.stop();
    rmSync(directory, { recursive: true, force: true });
  }
};
