/**
 * Everything at once: a steady load, scrapes, OTLP exports of many series, retention deleting, and administrators asking.
 * What of it the HTTP thread feels is the event loop's delay and the senders' latency.
 */
import { readSamples, sumOf } from '../../support/books.ts';
import { ask } from '../control.ts';
import { pace, saturate } from '../load.ts';
import { filledDatabase } from '../filled-database.ts';
import { median, type Scenario, type Settings } from '../scenario.ts';
import { type GatewayUnderTest, startServer } from '../servers.ts';

const LOAD = { metrics: 100, connections: 64 };
const DELAY = 'mcp_gateway_event_loop_delay_seconds';

const QUESTIONS = [
  '/api/v1/query/top-tools?from=30d',
  '/api/v1/query/latency?type=tool_execution&from=30d',
  '/api/v1/query/events?from=30d&limit=1000',
  '/api/v1/query/errors?from=30d',
  '/admin/database/stats',
  '/admin/retention/preview',
  '/admin/keys',
];

async function round(server: GatewayUnderTest, settings: Settings, number: number) {
  const { small } = settings;
  const { ok, seconds } = await saturate(server, { ...LOAD, seconds: small ? 1 : 2 });
  await server.gateway.flush().catch(() => {});
  const load = pace(server, { ...LOAD, seconds: small ? 3 : 20, perSecond: ((ok / seconds) * 1) / 4 });
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
  const page = readSamples(await server.gateway.scrape());
  const delay = (statistic: string): number => sumOf(page, DELAY, { statistic }) * 1000;
  return {
    ...result,
    median: delay('p50'),
    delay: delay('p99'),
    worst: delay('max'),
    answers: answers.length,
    slowest: Math.max(...answers),
  };
}

export const scenario: Scenario = async (settings) => {
  const { rounds, small, say } = settings;
  const filled = filledDatabase(small ? 50_000 : 5_000_000, settings);
  const server = await startServer(settings, {
    dataDirectory: filled.directory,
    env: { OTEL_METRIC_EXPORT_INTERVAL: '1000' },
  });
  try {
    const measured: Awaited<ReturnType<typeof round>>[] = [];
    for (let number = 0; number < rounds; number += 1) {
      say(`round ${number + 1}`);
      measured.push(await round(server, settings, number));
    }
    const of = (key: keyof (typeof measured)[number]): number => median(measured.map((one) => one[key]));
    return [
      { what: 'event-loop delay, median', value: of('median'), unit: 'ms' },
      { what: 'event-loop delay, p99', value: of('delay'), unit: 'ms', goal: { atMost: 20 } },
      { what: 'event-loop delay, the longest', value: of('worst'), unit: 'ms' },
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
    ];
  } finally {
    await server.stop();
    filled.remove();
  }
};
