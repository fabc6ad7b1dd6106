/**
 * Everything at once: a steady load, scrapes, OTLP exports of many series, retention deleting, and administrators asking.
 * What of it the HTTP thread feels is the event loop's delay, its longest pieces of work and the senders' latency.
 */
import { ask } from '../control.ts';
import { pace, saturate } from '../load.ts';
import { offerSeries } from '../offer-series.ts';
import { filledDatabase } from '../filled-database.ts';
import { LIMIT_MS, type LongPieces } from '../probes/long-pieces.ts';
import type { LoopDelay } from '../probes/loop-delay.ts';
import { type Figure, median, type Scenario, type Settings } from '../scenario.ts';
import { type GatewayUnderTest, startServer } from '../servers.ts';

const LOAD = { metrics: 100, connections: 64 };

const QUESTIONS = [
  '/api/v1/query/top-tools?from=30d',
  '/api/v1/query/latency?type=tool_execution&from=30d',
  '/api/v1/query/events?from=30d&limit=1000',
  '/api/v1/query/errors?from=30d',
  '/admin/database/stats',
  '/admin/retention/preview',
  '/admin/keys',
];

/** Everything at once, until the load has ended. */
async function everything(server: GatewayUnderTest, { small }: Settings, perSecond: number, number: number) {
  const load = pace(server, { ...LOAD, seconds: small ? 3 : 20, perSecond });
  let done = false;
  const whileBusy = async (work: () => Promise<unknown>): Promise<void> => {
    while (!done) await work();
  };
  const answers: number[] = [];
  let next = 0;
  let deleted = 0;
  const ended = load.finally(() => (done = true));
  const retention = async (): Promise<void> => {
    // Day by day, so that there is something to delete until the end.
    const days = Math.max(1, 29 - number * 5 - deleted);
    deleted += 1;
    await ask(server, 'PUT', '/admin/retention/policies/metrics', { retention_days: days });
    await ask(server, 'POST', '/admin/retention/cleanup');
  };
  const questions = async (): Promise<void> => {
    answers.push((await ask(server, 'GET', QUESTIONS[next % QUESTIONS.length]!)).ms);
    next += 1;
  };
  const scrapes = async (): Promise<void> => {
    await server.gateway.scrape();
    await new Promise((resolve) => setTimeout(resolve, 1000));
  };
  const [result] = await Promise.all([ended, whileBusy(questions), whileBusy(scrapes), whileBusy(retention)]);
  return { ...result, answers: answers.length, slowest: Math.max(...answers) };
}

/** @returns what went on, and what the server's probe found meanwhile */
async function round(server: GatewayUnderTest, settings: Settings, number: number) {
  const { ok, seconds } = await saturate(server, { ...LOAD, seconds: settings.small ? 1 : 2 });
  await server.gateway.flush().catch(() => {});
  let result: Awaited<ReturnType<typeof everything>> | undefined;
  const found = await server.probed(async () => {
    result = await everything(server, settings, ok / seconds / 4, number);
  });
  return { ...result!, found };
}

async function withDatabase<Result>(
  settings: Settings,
  probe: 'loop-delay' | 'long-pieces',
  work: (server: GatewayUnderTest) => Promise<Result>,
): Promise<Result> {
  const filled = filledDatabase(settings.small ? 50_000 : 5_000_000, settings);
  const env = { OTEL_METRIC_EXPORT_INTERVAL: '1000' };
  const server = await startServer(settings, { dataDirectory: filled.directory, env, probe });
  try {
    await offerSeries(server, settings.small ? 500 : 10_000);
    return await work(server);
  } finally {
    await server.stop();
    filled.remove();
  }
}

/** In a run of its own, since the hooks take time themselves. */
async function longPieces(settings: Settings): Promise<Figure[]> {
  settings.say('the longest pieces of work on the HTTP thread');
  const rounds = await withDatabase(settings, 'long-pieces', async (server) => {
    const all: LongPieces[] = [];
    for (let number = 0; number < settings.rounds; number += 1)
      all.push((await round(server, settings, number)).found as LongPieces);
    return all;
  });
  const overIn = ({ over }: LongPieces): number => Object.values(over).reduce((sum, count) => sum + count, 0);
  const found = rounds.reduce((worst, one) => (one.longestMs > worst.longestMs ? one : worst));
  for (const { kind, cpuMs, wallMs, collectingMs, functions } of found.longest)
    settings.say(
      `${kind}: ${cpuMs.toFixed(1)} ms of CPU in ${wallMs.toFixed(1)} ms, ${collectingMs.toFixed(1)} of them collecting garbage; ${functions.join(', ')}`,
    );
  const kinds = new Map(found.longest.toReversed().map((piece) => [piece.kind, piece]));
  return [
    {
      what: `pieces of work on the HTTP thread with more than ${LIMIT_MS} ms of CPU, of ${found.pieces.toLocaleString('en-US')}`,
      value: median(rounds.map(overIn)),
      unit: '',
      goal: { atMost: 0 },
    },
    ...Array.from(kinds.values(), ({ kind, cpuMs }) => ({
      what: `the longest of the kind ${kind} (${found.over[kind] ?? 0} above ${LIMIT_MS} ms)`,
      value: cpuMs,
      unit: 'ms',
    })),
  ];
}

export const scenario: Scenario = async (settings) => {
  const { rounds, say } = settings;
  const measured = await withDatabase(settings, 'loop-delay', async (server) => {
    const all: Awaited<ReturnType<typeof round>>[] = [];
    for (let number = 0; number < rounds; number += 1) {
      say(`round ${number + 1}`);
      all.push(await round(server, settings, number));
    }
    return all;
  });
  type Key = 'p50' | 'p99' | 'answers' | 'slowest';
  const of = (key: Key): number => median(measured.map((one) => one[key]));
  const delay = (key: keyof LoopDelay): number => median(measured.map(({ found }) => (found as LoopDelay)[key]));
  return [
    { what: 'event-loop delay (a timer of 1 ms), median', value: delay('p50'), unit: 'ms' },
    { what: 'event-loop delay (a timer of 1 ms), p99', value: delay('p99'), unit: 'ms', goal: { atMost: 20 } },
    { what: 'what comes at any instant waits for the event loop, p99', value: delay('weightedP99'), unit: 'ms' },
    { what: 'event-loop delay (a timer of 1 ms), the longest', value: delay('max'), unit: 'ms' },
    {
      what: 'metrics accepted meanwhile',
      value: median(measured.map(({ ok, seconds }) => (ok * LOAD.metrics) / seconds)),
      unit: '/s',
    },
    {
      what: 'requests refused or failed',
      value: Math.max(...measured.map(({ refused, failed }) => refused + failed)),
      unit: '',
      goal: { atMost: 0 },
    },
    { what: 'latency of a 200, p50', value: of('p50'), unit: 'ms' },
    { what: 'latency of a 200, p99', value: of('p99'), unit: 'ms' },
    { what: 'questions answered meanwhile', value: of('answers'), unit: '' },
    { what: 'the slowest answer to one', value: of('slowest'), unit: 'ms' },
    ...(await longPieces(settings)),
  ];
};
