/**
 * All three sinks on, scrapes and OTLP exports going on: the highest rate that can be kept, every queue's age flat.
 * Rounds of a paced load look for it. A minute at the rate found has to show it, and is held against bare prepared inserts
 * and the obvious build, as fast as they go, directly before and after; half of that rate is where latency is judged.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { preparedInserts, removeDatabase, writeRows } from '../baselines/prepared-inserts.ts';
import { saturate } from '../load.ts';
import { type Figure, median, type Scenario } from '../scenario.ts';
import { forkServer, type GatewayUnderTest, startServer } from '../servers.ts';
import { LOAD, type SteadyLoad, steadyLoad, untilEmpty } from '../steady-load.ts';
import { threadFigures } from '../thread-cpu.ts';

/** Where the search begins: the share of bare inserts that is the goal. */
const GOAL = 0.6;
const STEP = 1.15;
/** Of the rate found, where a minute shows that it cannot be kept. */
const STEP_DOWN = 0.92;
const ATTEMPTS = 4;

interface Obvious {
  readonly perSecond: number;
  /** Scrapes of its Prometheus page beside the load, and those that failed. */
  readonly scrapes: number;
  readonly failedScrapes: number;
}

async function measureObvious(port: number, seconds: number): Promise<Obvious> {
  let [scrapes, failedScrapes] = [0, 0];
  const scrape = async (): Promise<void> => {
    scrapes += 1;
    try {
      const response = await fetch(`http://127.0.0.1:${port}/scrape`);
      if (!response.ok || (await response.text()).length === 0) failedScrapes += 1;
    } catch {
      failedScrapes += 1;
    }
  };
  const scraping = setInterval(() => void scrape(), Math.min(5, seconds / 3) * 1000);
  const written = async (): Promise<number> => Number(await (await fetch(`http://127.0.0.1:${port}/written`)).text());
  const [start, before] = [performance.now(), await written()];
  try {
    await saturate({ url: `http://127.0.0.1:${port}/metrics`, keys: ['none'] }, { ...LOAD, seconds });
  } finally {
    clearInterval(scraping);
  }
  return { perSecond: (((await written()) - before) * 1000) / (performance.now() - start), scrapes, failedScrapes };
}

const outcome = ({ offered, accepted, lost, p99, growth, flat }: SteadyLoad): string =>
  `of ${Math.round(offered)}/s ${Math.round(accepted)} accepted, ${lost} requests lost, p99 ${Math.round(p99)} ms, the queues' age grew by ${growth.toFixed(2)} s: ${flat ? 'kept up' : 'too much'}`;

interface Baselines {
  /** Metrics a second. */
  readonly bare: number;
  readonly obvious: Obvious;
}

interface Minute {
  readonly shown: SteadyLoad;
  /** Metrics a second, means of what was measured directly before and directly after. */
  readonly bare: number;
  readonly obvious: number;
  /** Of the obvious build. */
  readonly scrapes: number;
  readonly failedScrapes: number;
}

/** The minute: at the rate found, and lower where it shows that this was too much. The last one may be too much too. */
async function minuteAt(
  rate: number,
  seconds: number,
  {
    server,
    measure,
    say,
  }: { server: GatewayUnderTest; measure: () => Promise<Baselines>; say: (text: string) => void },
): Promise<Minute> {
  for (let attempt = 1; ; attempt += 1) {
    await untilEmpty(server);
    const before = await measure();
    say(`${seconds} s at ${Math.round(rate)} metrics a second`);
    const shown = await steadyLoad(server, rate, seconds);
    say(outcome(shown));
    if (shown.flat || attempt === ATTEMPTS) {
      await untilEmpty(server);
      const after = await measure();
      return {
        shown,
        bare: (before.bare + after.bare) / 2,
        obvious: (before.obvious.perSecond + after.obvious.perSecond) / 2,
        scrapes: before.obvious.scrapes + after.obvious.scrapes,
        failedScrapes: before.obvious.failedScrapes + after.obvious.failedScrapes,
      };
    }
    rate *= STEP_DOWN;
  }
}

function figures(minute: Minute, half: SteadyLoad, seconds: number): Figure[] {
  const { shown: kept, bare, obvious, scrapes, failedScrapes } = minute;
  const what = kept.flat
    ? 'metrics a second into every sink, kept up'
    : `metrics a second into every sink: none of ${ATTEMPTS} rates was kept up, the lowest ${Math.round(kept.offered)}`;
  const value = kept.flat ? kept.accepted : 0;
  const during = kept.flat ? `${seconds} s of it` : `${seconds} s of the lowest`;
  return [
    {
      what,
      value,
      unit: '/s',
      baseline: { what: 'bare prepared inserts, nothing else running, directly before and after', value: bare },
      ratio: value / bare,
      goal: { atLeast: GOAL },
    },
    {
      what,
      value,
      unit: '/s',
      baseline: { what: 'the obvious build, directly before and after', value: obvious },
      ratio: value / obvious,
      goal: { atLeast: 5 },
    },
    { what: `the obvious build: failed scrapes, of ${scrapes}`, value: failedScrapes, unit: '' },
    { what: `${during}: requests refused or failed`, value: kept.lost, unit: '', goal: { atMost: 0 } },
    { what: `${during}: oldest metric in a queue, median of the last third`, value: kept.age, unit: 's' },
    {
      what: `${during}: its growth since the middle third`,
      value: kept.growth,
      unit: 's',
      goal: { atMost: 0.6 },
    },
    { what: `${during}: latency p50 / p99`, value: kept.p50, unit: `/ ${kept.p99.toFixed(1)} ms` },
    ...threadFigures(during, [kept]),
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
  const rows = join(directory, 'rows.db');
  writeRows(rows, small ? 20_000 : 200_000);
  const inserts = preparedInserts(rows);
  const collector = await forkServer('./byte-counter.ts');
  const obvious = await forkServer('./baselines/obvious-build.ts', [`http://127.0.0.1:${collector.port}`]);
  const server = await startServer(settings);
  try {
    await steadyLoad(server, small ? 2000 : 10_000, small ? 1 : 5);
    const path = join(directory, 'bare.db');
    const bareRuns = small ? 1 : 5;
    const bare = (): number => {
      const runs = Array.from({ length: bareRuns }, () => {
        const perSecond = 1e6 / inserts.run(path);
        removeDatabase(path);
        return perSecond;
      });
      return median(runs);
    };
    const measure = async (): Promise<Baselines> => ({
      bare: bare(),
      obvious: await measureObvious(obvious.port, small ? 2 : 15),
    });
    let rate = bare() * GOAL;
    let best = 0;
    for (let round = 0; round < rounds; round += 1) {
      await untilEmpty(server);
      const shown = await steadyLoad(server, rate, seconds);
      const { flat } = shown;
      say(`search ${round + 1}: ${outcome(shown)}`);
      if (flat) best = Math.max(best, rate);
      rate = flat ? rate * STEP : rate / STEP;
    }
    const kept = await minuteAt(best === 0 ? rate : best, minute, { server, measure, say });
    await untilEmpty(server);
    const half = await steadyLoad(server, kept.shown.accepted / 2, minute);
    return figures(kept, half, minute);
  } finally {
    obvious.child.disconnect();
    collector.child.kill();
    await server.stop();
    rmSync(directory, { recursive: true, force: true });
  }
};
