/** What a gateway takes at the rates of the sizing in docs/performance.md, and whether one core is enough for the lowest of them. */
import { setTimeout as sleep } from 'node:timers/promises';
import { programPath } from '../support/tools.ts';
import { pace } from './load.ts';
import { residentMemory } from './machine.ts';
import { type Figure, median, type Settings } from './scenario.ts';
import { startServer } from './servers.ts';
import { readQueues } from './steady-load.ts';
import { mainOf, othersOf, spent, threadTimes } from './thread-cpu.ts';

interface Rate {
  /** Metrics. */
  readonly perSecond: number;
  /** Of one request. */
  readonly metrics: number;
  readonly onOneCore?: boolean;
}

const RATES: readonly Rate[] = [
  { perSecond: 1_000, metrics: 10 },
  { perSecond: 1_000, metrics: 10, onOneCore: true },
  { perSecond: 5_000, metrics: 100 },
  { perSecond: 10_000, metrics: 100 },
];
/** SQLite writes every five seconds at such rates. A metric that waits twice as long waits for more than that. */
const LONGEST_AGE_S = 10;

const secondsOf = ({ small }: Settings): number => (small ? 2 : 40);

interface Taken {
  /** MiB, the most there ever were since its start. */
  readonly resident: number;
  /** CPU seconds of all threads in a second. */
  readonly cores: number;
  /** Milliseconds. */
  readonly p99: number;
  /** Requests refused or failed. */
  readonly lost: number;
  /** Seconds, of the oldest metric in a queue at any scrape. */
  readonly age: number;
}

async function takenAt(settings: Settings, { perSecond, metrics, onOneCore = false }: Rate): Promise<Taken> {
  const seconds = secondsOf(settings);
  const server = await startServer(settings, { onOneCore });
  try {
    const load = pace(server, { metrics, connections: 64, seconds, perSecond: perSecond / metrics });
    let done = false;
    const ended = load.finally(() => (done = true));
    const ages: number[] = [];
    const scrapes = async (): Promise<void> => {
      while (!done) {
        ages.push((await readQueues(server)).age);
        await Promise.race([sleep(Math.min(5000, seconds * 250)), ended]);
      }
    };
    const cores = async (): Promise<number> => {
      // Until all of it is compiled, and SQLite has had its first batches.
      await sleep((seconds * 1000) / 4);
      const [before, start] = [threadTimes(server.pid), performance.now()];
      await ended;
      const cpu = spent(before, threadTimes(server.pid));
      return (mainOf(cpu) + othersOf(cpu)) / 1e6 / (performance.now() - start);
    };
    const [{ p99, refused, failed }, used] = await Promise.all([ended, cores(), scrapes()]);
    const resident = residentMemory(server.pid).peak;
    return { resident, cores: used, p99, lost: refused + failed, age: Math.max(...ages) };
  } finally {
    await server.stop();
  }
}

/** A gateway of its own for each rate and round: recorded traffic into all sinks, scraped every five seconds. */
export async function figuresAtRates(settings: Settings, rounds: number): Promise<Figure[]> {
  const figures: Figure[] = [];
  for (const rate of RATES) {
    const { perSecond, metrics, onOneCore } = rate;
    const name = `${perSecond.toLocaleString('en-US')} metrics a second, ${metrics} a request${onOneCore === true ? ', on one core' : ''}`;
    if (onOneCore === true && programPath('taskset') === undefined) {
      settings.say(`${name}: left out, there is no taskset here`);
      continue;
    }
    settings.say(name);
    const taken: Taken[] = [];
    for (let round = 0; round < rounds; round += 1) taken.push(await takenAt(settings, rate));
    const of = (key: keyof Taken): number[] => taken.map((one) => one[key]);
    const lost = of('lost').reduce((sum, count) => sum + count, 0);
    figures.push(
      // Not for ever: at the lower rates SQLite takes minutes to fill its cache.
      {
        what: `${name}: resident at the most, in its first ${secondsOf(settings)} s`,
        value: Math.max(...of('resident')),
        unit: 'MiB',
      },
      { what: `${name}: cores in use`, value: median(of('cores')), unit: '' },
      { what: `${name}: latency p99`, value: median(of('p99')), unit: 'ms' },
      { what: `${name}: requests refused or failed`, value: lost, unit: '', goal: { atMost: 0 } },
      {
        what: `${name}: oldest metric in a queue at any scrape`,
        value: Math.max(...of('age')),
        unit: 's',
        goal: { atMost: LONGEST_AGE_S },
      },
    );
  }
  return figures;
}
