/**
 * All three sinks on, scrapes and OTLP exports going on: the highest rate that can be kept, every queue's age flat.
 * Rounds of a paced load look for it. As many minutes at the rate found have to show it, in turn with bare prepared inserts
 * and the obvious build, as fast as they go; each minute is held against what was measured directly before and after it.
 * Half of that rate is where latency is judged.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { preparedInserts, removeDatabase, writeRows } from '../baselines/prepared-inserts.ts';
import { saturate } from '../load.ts';
import { compared, type Figure, median, type Scenario } from '../scenario.ts';
import { forkServer, type GatewayUnderTest, startServer } from '../servers.ts';
import { LOAD, type SteadyLoad, steadyLoad, untilEmpty } from '../steady-load.ts';
import { threadFigures } from '../thread-cpu.ts';

/** Where the search begins: the share of bare inserts that is the goal. */
const GOAL = 0.6;
const OBVIOUS_GOAL = 5;
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

const outcome = ({ offered, accepted, lost, late, p99, growth, flat }: SteadyLoad): string =>
  `of ${Math.round(offered)}/s ${Math.round(accepted)} accepted, ${lost} requests lost, p99 ${Math.round(p99)} ms, the last answer after ${late.toFixed(2)} s, the queues' age grew by ${growth.toFixed(2)} s: ${flat ? 'kept up' : 'too much'}`;

interface Baselines {
  /** Metrics a second. */
  readonly bare: number;
  readonly obvious: Obvious;
}

interface Minute {
  readonly shown: SteadyLoad;
  readonly before: Baselines;
  readonly after: Baselines;
}

/**
 * Minutes at the rate found, between baselines. Where one shows that this was too much, all of them again at a lower rate; those
 * at the last one may be too much too.
 */
async function minutesAt(
  rate: number,
  { count, seconds }: { readonly count: number; readonly seconds: number },
  {
    server,
    measure,
    say,
  }: { server: GatewayUnderTest; measure: () => Promise<Baselines>; say: (text: string) => void },
): Promise<Minute[]> {
  for (let attempt = 1; ; attempt += 1) {
    const minutes: Minute[] = [];
    await untilEmpty(server);
    let before = await measure();
    while (minutes.length < count) {
      say(`${seconds} s at ${Math.round(rate)} metrics a second, ${minutes.length + 1} of ${count}`);
      const shown = await steadyLoad(server, rate, seconds);
      say(outcome(shown));
      await untilEmpty(server);
      if (!shown.flat && attempt < ATTEMPTS) break;
      const after = await measure();
      minutes.push({ shown, before, after });
      before = after;
    }
    if (minutes.length === count) return minutes;
    rate *= STEP_DOWN;
  }
}

function figures(minutes: readonly Minute[], half: SteadyLoad, seconds: number): Figure[] {
  const all = minutes.map(({ shown }) => shown);
  const kept = all.every(({ flat }) => flat);
  const times = `${minutes.length} × ${seconds} s`;
  const what = kept
    ? `metrics a second into every sink, kept up for ${times}`
    : `metrics a second into every sink: none of ${ATTEMPTS} rates was kept up for ${times}, the lowest ${Math.round(all[0]!.offered)}`;
  const during = kept ? `${times} of it` : `${times} of the lowest`;
  const against = (baseline: string, of: (baselines: Baselines) => number, atLeast: number): Figure =>
    compared(
      { what, unit: '/s', against: `${baseline}, directly before and after`, goal: { atLeast } },
      minutes.map(({ shown, before, after }) => ({
        value: kept ? shown.accepted : 0,
        baseline: (of(before) + of(after)) / 2,
      })),
    );
  const of = (key: 'age' | 'growth' | 'p50' | 'p99' | 'loopDelayP99'): number => median(all.map((one) => one[key]));
  const runs = [minutes[0]!.before, ...minutes.map(({ after }) => after)].map(({ obvious }) => obvious);
  const sum = (numbers: readonly number[]): number => numbers.reduce((total, number) => total + number, 0);
  return [
    against('bare prepared inserts, nothing else running', ({ bare }) => bare, GOAL),
    against('the obvious build', ({ obvious }) => obvious.perSecond, OBVIOUS_GOAL),
    {
      what: `the obvious build: failed scrapes, of ${sum(runs.map(({ scrapes }) => scrapes))}`,
      value: sum(runs.map(({ failedScrapes }) => failedScrapes)),
      unit: '',
    },
    {
      what: `${during}: requests refused or failed`,
      value: sum(all.map(({ lost }) => lost)),
      unit: '',
      goal: { atMost: 0 },
    },
    { what: `${during}: oldest metric in a queue, median of the last third`, value: of('age'), unit: 's' },
    { what: `${during}: its growth since the middle third`, value: of('growth'), unit: 's', goal: { atMost: 0.6 } },
    { what: `${during}: latency p50`, value: of('p50'), unit: 'ms' },
    { what: `${during}: latency p99`, value: of('p99'), unit: 'ms' },
    ...threadFigures(during, all),
    {
      what: `${during}: event-loop delay p99 by the gateway's gauge (a timer of 10 ms), the largest reading`,
      value: of('loopDelayP99'),
      unit: 'ms',
      goal: { atMost: 20 },
    },
    {
      what: `${during}: resident memory, the largest reading of all`,
      value: Math.max(...all.map(({ resident }) => resident)),
      unit: 'MiB',
      goal: { atMost: 350 },
    },
    { what: 'half of that rate: latency p50', value: half.p50, unit: 'ms' },
    { what: 'half of that rate: latency p99', value: half.p99, unit: 'ms', goal: { atMost: 10 } },
    { what: 'half of that rate: resident memory, the largest reading', value: half.resident, unit: 'MiB' },
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
      obvious: await measureObvious(obvious.port, small ? 2 : 10),
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
    const times = { count: small ? 1 : rounds, seconds: minute };
    const minutes = await minutesAt(best === 0 ? rate : best, times, { server, measure, say });
    const half = await steadyLoad(server, minutes[0]!.shown.offered / 2, minute);
    return figures(minutes, half, minute);
  } finally {
    obvious.child.disconnect();
    collector.child.kill();
    await server.stop();
    rmSync(directory, { recursive: true, force: true });
  }
};
