/**
 * What one metric costs on the HTTP thread and on every other, how many durable 200s a second there are, and how long one takes.
 * The bare server is measured alone, and beside a thread that computes as much as the gateway's own other threads do: two
 * virtual cores may share caches and a clock, and then whatever runs on one costs the other. `--load` restricts it to single loads.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { writeRows } from '../baselines/prepared-inserts.ts';
import { type LoadOptions, saturate } from '../load.ts';
import { type Measured, measureSaturated, type Server } from '../saturated-server.ts';
import { compared, type Figure, type Load, median, type Scenario } from '../scenario.ts';
import { forkServer, startServer } from '../servers.ts';
import { type CpuByThread, spent, threadFigures, threadTimes } from '../thread-cpu.ts';
import { type GatewayServer, unsaturated } from '../unsaturated.ts';

const LOADS: readonly Load[] = [64, 256].flatMap((connections) =>
  [100, 10, 1].map((metrics) => ({ metrics, connections })),
);
/** One of each. */
const SMALL_LOADS: readonly Load[] = [
  { metrics: 100, connections: 64 },
  { metrics: 10, connections: 64 },
  { metrics: 1, connections: 256 },
];
const CPU_GOALS: Readonly<Record<number, number>> = { 100: 1.5, 10: 1.7, 1: 2 };
const BURST_GOAL = 0.6;
const ALONE = 'bare node:http + JSON.parse, alone';
const BESIDE = 'bare node:http + JSON.parse beside a thread of SQLite inserts, as busy as the gateway’s own others';

interface BusyServer extends Server {
  /** Keeps its other thread computing for this share of the time. */
  readonly keepBusy: (share: number) => void;
}

interface Servers {
  readonly bare: Server;
  readonly bareBeside: BusyServer;
  readonly idle: GatewayServer;
  readonly full: GatewayServer;
}

interface IdleTurn {
  readonly bare: Measured;
  readonly gateway: Measured;
}

interface FullTurn extends IdleTurn {
  readonly bareBeside: Measured;
  /** Until everything had reached the sinks; nanoseconds. */
  readonly cpuToTheEnd: CpuByThread;
}

/** Without sinks and the bare server, in turn. */
async function idleTurns({ bare, idle }: Servers, load: LoadOptions, count: number): Promise<IdleTurn[]> {
  for (const server of [bare, idle]) await saturate(server, { ...load, seconds: 1 });
  const turns: IdleTurn[] = [];
  for (let turn = 0; turn < count; turn += 1) {
    turns.push({ bare: await measureSaturated(bare, load), gateway: await measureSaturated(idle, load) });
  }
  return turns;
}

/** With all sinks, whose queues are empty before each turn and before each baseline. */
async function fullTurns(servers: Servers, load: LoadOptions, count: number): Promise<FullTurn[]> {
  const { bare, bareBeside, full } = servers;
  for (const server of [full, bareBeside]) await saturate(server, { ...load, seconds: 1 });
  await full.gateway.flush();
  const turns: FullTurn[] = [];
  for (let turn = 0; turn < count; turn += 1) {
    const alone = await measureSaturated(bare, load);
    const before = threadTimes(full.pid);
    const gateway = await measureSaturated(full, load);
    await full.gateway.flush();
    const cpuToTheEnd = spent(before, threadTimes(full.pid));
    bareBeside.keepBusy(Math.min(1, gateway.otherCores));
    const beside = await measureSaturated(bareBeside, load);
    bareBeside.keepBusy(0);
    turns.push({ bare: alone, gateway, bareBeside: beside, cpuToTheEnd });
  }
  return turns;
}

function figuresOf(name: string, idle: readonly IdleTurn[], full: readonly FullTurn[], goals: Goals): Figure[] {
  const pairs = <Turn extends IdleTurn>(
    turns: readonly Turn[],
    of: (one: Measured) => number,
    baseline: (turn: Turn) => Measured = ({ bare }) => bare,
  ): { value: number; baseline: number }[] =>
    turns.map((turn) => ({ value: of(turn.gateway), baseline: of(baseline(turn)) }));
  const cpu = { unit: 'µs', ...(goals.cpu === undefined ? undefined : { goal: { atMost: goals.cpu } }) };
  const burst = goals.burst === undefined ? undefined : { goal: { atLeast: goals.burst } };
  const mainCpu = (one: Measured): number => one.mainCpu;
  const perSecond = (one: Measured): number => one.perSecond;
  const beside = (turn: FullTurn): Measured => turn.bareBeside;
  return [
    compared(
      { what: `${name}: CPU of the HTTP thread per metric, deliveries idle`, unit: 'µs', against: ALONE },
      pairs(idle, mainCpu),
    ),
    compared(
      { what: `${name}: CPU of the HTTP thread per metric, all sinks`, against: ALONE, ...cpu },
      pairs(full, mainCpu),
    ),
    compared(
      { what: `${name}: CPU of the HTTP thread per metric, all sinks`, unit: 'µs', against: BESIDE },
      pairs(full, mainCpu, beside),
    ),
    {
      what: `${name}: cores that all other threads kept busy meanwhile`,
      value: median(full.map(({ gateway }) => gateway.otherCores)),
      unit: '',
      baseline: { what: 'the thread of inserts', value: median(full.map((turn) => turn.bareBeside.otherCores)) },
    },
    ...threadFigures(
      `${name}, all sinks, until all is in them`,
      full.map(({ gateway: { metrics }, cpuToTheEnd }) => ({ cpu: cpuToTheEnd, metrics })),
    ),
    compared(
      { what: `${name}: durable 200s, deliveries idle`, unit: '/s', against: ALONE, ...burst },
      pairs(idle, perSecond),
    ),
    compared({ what: `${name}: durable 200s, all sinks`, unit: '/s', against: ALONE }, pairs(full, perSecond)),
    ...(['p50', 'p99', 'p999'] as const).map((which) => ({
      what: `${name}: latency ${which.replace('999', '99.9')} saturated, deliveries idle`,
      value: median(idle.map(({ gateway }) => gateway[which])),
      unit: 'ms',
    })),
  ];
}

interface Goals {
  readonly cpu?: number | undefined;
  readonly burst?: number;
}

const goalsOf = ({ metrics, connections }: Load): Goals =>
  connections === 64 ? { cpu: CPU_GOALS[metrics], ...(metrics === 100 ? { burst: BURST_GOAL } : undefined) } : {};

export const scenario: Scenario = async (settings) => {
  const { small, say, rounds } = settings;
  const directory = mkdtempSync(join(tmpdir(), 'bench-ingest-'));
  const rows = join(directory, 'rows.db');
  writeRows(rows, small ? 10_000 : 50_000);
  const bare = await forkServer('./baselines/bare-http.ts');
  const bareBeside = await forkServer('./baselines/bare-http.ts', [rows, join(directory, 'target.db')]);
  const idle = await startServer(settings, { sinks: 'none' });
  const full = await startServer(settings);
  const bareServer = (name: string, { child, port }: typeof bare): Server => ({
    name,
    url: `http://127.0.0.1:${port}/`,
    keys: ['none'],
    pid: child.pid!,
  });
  const servers: Servers = {
    bare: bareServer('bare node:http', bare),
    bareBeside: {
      ...bareServer('bare node:http beside inserts', bareBeside),
      keepBusy: (share) => void bareBeside.child.send(share),
    },
    idle: { name: 'gateway, deliveries idle', ...idle },
    full: { name: 'gateway, all sinks', ...full },
  };
  const figures: Figure[] = [];
  try {
    const all = small ? SMALL_LOADS : LOADS;
    for (const load of settings.loads.length > 0 ? settings.loads : all) {
      const name = `${load.metrics} a request, ${load.connections} connections`;
      say(name);
      // Turns of a second: some processors change their speed every few seconds, and a ratio wants both at the same.
      const count = small ? 1 : load.connections === 64 ? rounds * 3 : rounds;
      const idleMeasured = await idleTurns(servers, { ...load, seconds: 1 }, count);
      const fullMeasured = await fullTurns(servers, { ...load, seconds: small ? 1 : 2 }, rounds);
      figures.push(...figuresOf(name, idleMeasured, fullMeasured, goalsOf(load)));
    }
    if (settings.loads.length === 0) {
      say('half of what it takes in a burst');
      figures.push(...(await unsaturated(servers.bare, servers.idle, servers.full, settings)));
    }
  } finally {
    bare.child.disconnect();
    bareBeside.child.disconnect();
    await Promise.all([idle.stop(), full.stop()]);
    rmSync(directory, { recursive: true, force: true });
  }
  return figures;
};
