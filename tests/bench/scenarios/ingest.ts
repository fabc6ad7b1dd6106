/** What one metric costs on the HTTP thread, how many durable 200s a second there are, and how long one takes. */
import { threadCpu } from '../machine.ts';
import { type LoadOptions, pace, saturate, type Saturated, type Target } from '../load.ts';
import type { PacedResult } from '../paced-client.ts';
import { compared, type Figure, median, type Scenario, type Settings } from '../scenario.ts';
import { forkServer, type GatewayUnderTest, startServer } from '../servers.ts';

const CPU_GOALS: Readonly<Record<number, number>> = { 100: 1.5, 10: 1.7, 1: 2 };
const BURST_GOAL = 0.6;

interface Server extends Target {
  readonly name: string;
  readonly pid: number;
}

type GatewayServer = Server & Pick<GatewayUnderTest, 'gateway'>;

interface Measured extends Saturated {
  /** Microseconds per metric. */
  readonly mainCpu: number;
  readonly otherCpu: number;
  readonly perSecond: number;
}

async function measure(server: Server, load: LoadOptions): Promise<Measured> {
  const before = threadCpu(server.pid);
  const result = await saturate(server, load);
  const after = threadCpu(server.pid);
  if (result.failed > 0 || result.refused > 0 || result.ok === 0) {
    throw new Error(
      `${server.name}: ${result.refused} requests refused, ${result.failed} failed, ${result.ok} answered`,
    );
  }
  const metrics = result.ok * load.metrics;
  return {
    ...result,
    mainCpu: (after.main - before.main) / 1000 / metrics,
    otherCpu: (after.others - before.others) / 1000 / metrics,
    perSecond: result.ok / result.seconds,
  };
}

interface Pair {
  readonly baseline: Measured;
  readonly gateway: Measured;
}

/** The two in turn, so many times; the first time each, for a moment, to warm up. */
async function turns(baseline: Server, gateway: Server, load: LoadOptions, count: number): Promise<Pair[]> {
  for (const server of [baseline, gateway]) await saturate(server, { ...load, seconds: 1 });
  const measured: Pair[] = [];
  for (let turn = 0; turn < count; turn += 1) {
    measured.push({ baseline: await measure(baseline, load), gateway: await measure(gateway, load) });
  }
  return measured;
}

export const scenario: Scenario = async (settings) => {
  const { small, say } = settings;
  const bare = await forkServer('./baselines/bare-http.ts');
  const idle = await startServer(settings, { sinks: 'none' });
  const full = await startServer(settings);
  const baseline: Server = {
    name: 'bare node:http',
    url: `http://127.0.0.1:${bare.port}/`,
    keys: ['none'],
    pid: bare.child.pid!,
  };
  const idleServer = { name: 'gateway, deliveries idle', ...idle };
  const fullServer = { name: 'gateway, all sinks', ...full };
  const figures: Figure[] = [];
  try {
    const loads = [
      { metrics: 100, connections: 64 },
      { metrics: 10, connections: 64 },
      { metrics: 1, connections: 64 },
      { metrics: 100, connections: 256 },
    ];
    for (const load of small ? loads.slice(0, 1) : loads) {
      const { metrics, connections } = load;
      const name = `${metrics} a request, ${connections} connections`;
      say(name);
      // Turns of a second: some processors change their speed every few seconds, and a ratio wants both at the same.
      const idlePairs = await turns(baseline, idleServer, { ...load, seconds: 1 }, small ? 1 : settings.rounds * 3);
      const fullPairs = await turns(baseline, fullServer, { ...load, seconds: small ? 1 : 3 }, settings.rounds);
      const goal = connections === 64 ? CPU_GOALS[metrics] : undefined;
      figures.push(...figuresOf(name, idlePairs, fullPairs, goal, metrics === 100));
      await full.gateway.flush();
    }
    say('half of what it takes in a burst');
    figures.push(...(await unsaturated(baseline, idleServer, fullServer, settings)));
  } finally {
    bare.child.disconnect();
    await Promise.all([idle.stop(), full.stop()]);
  }
  return figures;
};

function figuresOf(
  name: string,
  idlePairs: readonly Pair[],
  fullPairs: readonly Pair[],
  cpuGoal: number | undefined,
  isBurst: boolean,
): Figure[] {
  const against = 'bare node:http + JSON.parse';
  const compare = (pairs: readonly Pair[], of: (one: Measured) => number): { value: number; baseline: number }[] =>
    pairs.map(({ gateway, baseline }) => ({ value: of(gateway), baseline: of(baseline) }));
  const goal = cpuGoal === undefined ? undefined : { goal: { atMost: cpuGoal } };
  return [
    compared(
      { what: `${name}: CPU of the HTTP thread per metric`, unit: 'µs', against, ...goal },
      compare(idlePairs, (one) => one.mainCpu),
    ),
    compared(
      { what: `${name}: the same with all sinks at work beside it`, unit: 'µs', against },
      compare(fullPairs, (one) => one.mainCpu),
    ),
    {
      what: `${name}: CPU of all other threads per metric, all sinks`,
      value: median(fullPairs.map(({ gateway }) => gateway.otherCpu)),
      unit: 'µs',
    },
    compared(
      {
        what: `${name}: durable 200s, deliveries idle`,
        unit: '/s',
        against,
        ...(isBurst && cpuGoal !== undefined ? { goal: { atLeast: BURST_GOAL } } : undefined),
      },
      compare(idlePairs, (one) => one.perSecond),
    ),
    compared(
      { what: `${name}: durable 200s, all sinks`, unit: '/s', against },
      compare(fullPairs, (one) => one.perSecond),
    ),
    ...(['p50', 'p99', 'p999'] as const).map((which) => ({
      what: `${name}: latency ${which.replace('999', '99.9')} saturated, deliveries idle`,
      value: median(idlePairs.map(({ gateway }) => gateway[which])),
      unit: 'ms',
    })),
  ];
}

/**
 * Each at half of what it took a moment before, so that a busy neighbour does not make it saturated, and with empty queues.
 * Beside it the bare server at the same rate: what the client and the machine make of an answer that costs nothing.
 */
async function unsaturated(
  bare: Server,
  idle: GatewayServer,
  full: GatewayServer,
  settings: Settings,
): Promise<Figure[]> {
  const load = { metrics: 100, connections: 64, seconds: settings.small ? 1 : 6 };
  const measured: { idle: PacedResult; full: PacedResult; bare: PacedResult }[] = [];
  for (let round = 0; round < settings.rounds; round += 1) {
    const halfOf = async (server: GatewayServer): Promise<number> => {
      const { perSecond } = await measure(server, { ...load, seconds: 1 });
      await server.gateway.flush();
      return perSecond / 2;
    };
    const idleResult = await pace(idle, { ...load, perSecond: await halfOf(idle) });
    const perSecond = await halfOf(full);
    measured.push({
      idle: idleResult,
      full: await pace(full, { ...load, perSecond }),
      bare: await pace(bare, { ...load, perSecond }),
    });
  }
  const name = 'half of what it takes in a burst, 100 a request, 64 connections';
  const against = 'bare node:http at that rate';
  const figure = (which: 'p50' | 'p99' | 'p999'): Figure => ({
    ...compared(
      { what: `${name}: ${which.replace('999', '99.9')}, all sinks`, unit: 'ms', against },
      measured.map((one) => ({ value: one.full[which], baseline: one.bare[which] })),
    ),
  });
  return [
    figure('p50'),
    figure('p99'),
    figure('p999'),
    { what: `${name}: p99, deliveries idle`, value: median(measured.map((one) => one.idle.p99)), unit: 'ms' },
  ];
}
