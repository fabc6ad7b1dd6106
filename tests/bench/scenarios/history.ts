/**
 * What the history costs those who write meanwhile: 2 million rows, 5,000 metrics a second by HTTP, and beside them every
 * question, the statistics, preview, cleanup of a tenth of the rows, and backfill. `HISTORY_ROWS` sets another number of rows.
 *
 * Each question is asked several times a round, by turns and not in a burst, so that it meets whatever the writer does just
 * then. The goal is held against the slowest answer, which may be the first after the start; the median beside it tells
 * whether that was an outlier.
 */
import { Agent, request } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import { QUERIES, type QueryName } from '../../../src/sinks/sqlite/query-names.ts';
import { bodies } from '../bodies.ts';
import { ask } from '../control.ts';
import { filledDatabase } from '../filled-database.ts';
import { type Figure, median, type Scenario } from '../scenario.ts';
import { type GatewayUnderTest, startServer } from '../servers.ts';

const METRICS_PER_REQUEST = 100;
const PAUSE_MS = 20;
/** Turns of all questions in a round. */
const TURNS = 5;
/** So that the turns meet all of what the writer does, which takes a batch every few seconds. */
const ASK_PAUSE_MS = 130;
/** Of the 30 days that there are; the tenth before that goes. */
const KEPT_DAYS = 27;

const PARAMETERS: Partial<Record<QueryName, string>> = {
  latency: 'type=tool_execution&from=30d',
  events: 'from=30d&view=tool_metrics&success=false&limit=100',
  user: 'from=30d&user_hash=2b8b66f64b60',
  trend: '',
};
const pathOf = (name: QueryName): string => `/api/v1/query/${name}?${PARAMETERS[name] ?? 'from=30d'}`;
const FROM_ROWS: readonly QueryName[] = ['events', 'user'];

/** Sends one request after the other, and keeps how long each waited for its answer. */
function sender({ url, keys }: GatewayUnderTest) {
  const agent = new Agent({ keepAlive: true, maxSockets: 4 });
  const texts = bodies(METRICS_PER_REQUEST, 20).map((body) => JSON.stringify(body));
  const waits: number[] = [];
  const underWay = new Set<Promise<void>>();
  let sent = 0;
  let failed = 0;
  const send = (body: string): Promise<void> =>
    new Promise((resolve) => {
      const begin = performance.now();
      const end = (isOk: boolean): void => {
        waits.push(performance.now() - begin);
        if (!isOk) failed += 1;
        resolve();
      };
      const headers = { 'content-type': 'application/json', 'x-api-key': keys[0] };
      const out = request(url, { agent, method: 'POST', headers }, (response) => {
        response.resume();
        response.on('error', () => end(false));
        response.on('end', () => end(response.statusCode === 200));
      });
      out.on('error', () => end(false));
      out.end(body);
    });
  const timer = setInterval(() => {
    sent += 1;
    const one = send(texts[sent % texts.length]!);
    underWay.add(one);
    one.finally(() => underWay.delete(one)).catch(() => {});
  }, PAUSE_MS);
  return {
    /** Waits of requests that were under way during the work, and what the work gave. */
    during: async <T>(work: () => Promise<T>): Promise<{ result: T; worst: number; typical: number }> => {
      await Promise.all(underWay);
      waits.length = 0;
      const result = await work();
      await Promise.all(underWay);
      return { result, worst: Math.max(0, ...waits), typical: waits.length === 0 ? 0 : median(waits) };
    },
    stop: async (): Promise<number> => {
      clearInterval(timer);
      await Promise.all(underWay);
      agent.destroy();
      return failed;
    },
  };
}

export const scenario: Scenario = async (settings) => {
  const { rounds, small, say } = settings;
  const rows = Number(process.env['HISTORY_ROWS'] ?? (small ? 20_000 : 2_000_000));
  const filled = filledDatabase(rows, settings);
  const server = await startServer(settings, { dataDirectory: filled.directory });
  const load = sender(server);
  const figures: Figure[] = [];
  const add = (figure: Figure): void => {
    figures.push(figure);
    say(`${figure.what}: ${figure.value.toFixed(1)} ${figure.unit}`);
  };
  const waited = (what: string, worst: number): void => {
    add({
      what: `the longest wait of a request beside ${what}`,
      value: worst,
      unit: 'ms',
      goal: { atMost: 100 },
    });
  };
  const questions: { what: string; path: string; isFromRollups: boolean; took: number[]; worst: number }[] = [
    ...(Object.keys(QUERIES) as QueryName[]).map((name) => ({
      what: name,
      path: pathOf(name),
      isFromRollups: !FROM_ROWS.includes(name),
    })),
    { what: 'statistics', path: '/admin/database/stats', isFromRollups: true },
    { what: 'size', path: '/admin/database/size', isFromRollups: true },
    { what: 'preview', path: '/admin/retention/preview', isFromRollups: false },
  ].map((question) => ({ ...question, took: [], worst: 0 }));
  try {
    const idle = await load.during(() => sleep(small ? 200 : 10_000));
    add({ what: 'a request beside nothing, median', value: idle.typical, unit: 'ms' });
    add({ what: 'the longest wait of a request beside nothing', value: idle.worst, unit: 'ms' });
    await ask(server, 'PUT', '/admin/retention/policies/metrics', { retention_days: KEPT_DAYS });
    for (let turn = 0; turn < rounds * TURNS; turn += 1) {
      for (const question of questions) {
        const { result, worst } = await load.during(async () => {
          const { ms } = await ask(server, 'GET', question.path);
          await sleep(small ? 0 : ASK_PAUSE_MS);
          return ms;
        });
        question.took.push(result);
        question.worst = Math.max(question.worst, worst);
      }
    }
    for (const { what, isFromRollups, took, worst } of questions) {
      const goal = isFromRollups ? { goal: { atMost: 200 } } : undefined;
      add({ what: `${what}: slowest of ${took.length} answers`, value: Math.max(...took), unit: 'ms', ...goal });
      add({ what: `${what}: the first`, value: took[0]!, unit: 'ms' });
      add({ what: `${what}: median`, value: median(took), unit: 'ms' });
      waited(what, worst);
    }
    const cleanup = await load.during(() => ask(server, 'POST', '/admin/retention/cleanup'));
    const report = JSON.parse(cleanup.result.text) as { total_records_deleted: number; longest_hold_ms: number };
    add({ what: 'cleanup', value: cleanup.result.ms, unit: 'ms' });
    add({ what: 'rows that it removed', value: report.total_records_deleted, unit: '' });
    add({ what: 'the longest that a slice held the writer', value: report.longest_hold_ms, unit: 'ms' });
    waited('cleanup', cleanup.worst);
    const backfill = await load.during(() => ask(server, 'POST', '/admin/backfill'));
    const last = backfill.result.text.trim().split('\n').at(-1)!;
    const { result } = JSON.parse(last) as { result?: { longestHoldMs: number } };
    if (result === undefined) throw new Error(`backfill: ${last}`);
    add({ what: 'backfill', value: backfill.result.ms / 1000, unit: 's' });
    add({ what: 'the longest that it held the writer', value: result.longestHoldMs, unit: 'ms' });
    waited('backfill', backfill.worst);
    add({ what: 'requests refused or failed', value: await load.stop(), unit: '', goal: { atMost: 0 } });
    return figures;
  } finally {
    await load.stop();
    await server.stop();
    filled.remove();
  }
};
