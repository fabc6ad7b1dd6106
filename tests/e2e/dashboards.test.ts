/** Every PromQL of both dashboards, asked of a real Prometheus that scraped a real gateway; key panels against SQLite. */
import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import Database from 'better-sqlite3';
import t from 'tap';
import { parse } from 'yaml';
import { demoTraffic } from '../../src/cli/demo-traffic.ts';
import { countOf } from '../../deploy/grafana/src/promql.ts';
import { interpolate, readDashboard } from '../../deploy/grafana/src/picture/dashboard-file.ts';
import { startGateway, type RunningGateway } from '../support/gateway.ts';
import { PROMETHEUS, startPrometheus } from '../support/prometheus.ts';
import { skipWithout } from '../support/tools.ts';
import { ROOT } from '../support/root.ts';
import { RECORDED, recordedTraffic, replay } from '../support/traffic.ts';
import { waitFor } from '../support/wait-for.ts';
import { folderOf } from '../support/folder.ts';

const skip = skipWithout(PROMETHEUS, 'Debian’s package prometheus');
const analytics = readDashboard('mcp-analytics-comprehensive');
const health = readDashboard('mcp-gateway-health');
const ROUNDS = 300;

/** The same numbers at every run. */
function seeded(seed: number): () => number {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 32;
  };
}

interface Sample {
  readonly metric: Readonly<Record<string, string>>;
  readonly value: number;
}
type Ask = (expr: string, at: number, overLastHour?: boolean) => Promise<readonly Sample[]>;

const asker =
  (url: string): Ask =>
  async (expr, at, overLastHour = false) => {
    const time = String(at / 1000);
    const span = { start: String(at / 1000 - 3600), end: time, step: '30' };
    const parameters = new URLSearchParams({ query: expr, ...(overLastHour ? span : { time }) });
    const response = await fetch(`${url}/api/v1/query${overLastHour ? '_range' : ''}`, {
      method: 'POST',
      body: parameters,
    });
    const answer = (await response.json()) as {
      status: string;
      error?: string;
      data: { result: { metric: Record<string, string>; value?: [number, string]; values?: [number, string][] }[] };
    };
    if (answer.status !== 'success') throw new Error(`${expr}: ${answer.error ?? response.status}`);
    return answer.data.result.flatMap(({ metric, value, values = [] }) =>
      (value === undefined ? values : [value]).map(([, text]) => ({ metric, value: Number(text) })),
    );
  };

/** What makes the health dashboard's rarer counters count: a replay, a refusal, rejections, overflow, rate limiting. */
async function trouble(gateway: RunningGateway): Promise<void> {
  const custom = (names: readonly string[]): object => ({
    service: 'trouble',
    metrics: names.map((metric_name) => ({ type: 'custom', value: 1, dimensions: { metric_name } })),
  });
  const once = { 'idempotency-key': 'the-same' };
  await gateway.post(custom(['a']), once);
  await gateway.post(custom(['a']), once);
  await gateway.post(custom(Array.from({ length: 160 }, (_, index) => `name-${index}`)));
  await gateway.post({ service: 'trouble', metrics: [{ type: 'custom', value: 'much' }] });
  await gateway.post('{', {});
  await gateway.post(custom(['a']), { 'x-api-key': 'unknown' });
  // Many at once: one after the other would be slower than the limit on a busy machine.
  await waitFor(
    'the rate limit to be reached',
    async () => {
      const answers = await Promise.all(Array.from({ length: 50 }, () => gateway.post(custom(['a']))));
      return answers.some(({ status }) => status === 429);
    },
    { deadlineMs: 60_000, everyMs: 0 },
  );
}

t.test('the dashboards on real data', { skip }, async (t) => {
  const folder = folderOf(t);
  // Reached by `trouble` after all else was sent.
  const gateway = await startGateway({ dataDirectory: folder, env: { METRICS_RATE_LIMIT: '3200' } });
  t.teardown(() => gateway.stop('SIGKILL'));
  const prometheus = await startPrometheus(folder, [new URL(gateway.scrapeUrl).host]);
  t.teardown(() => prometheus.stop('SIGKILL'));
  const ask = asker(prometheus.url);
  const scraped = async (type: string, count: number): Promise<number> =>
    waitFor(
      `Prometheus to count ${count} of ${type}`,
      async () => {
        const at = Date.now();
        const [sample] = await ask(`sum(${type})`, at);
        return sample?.value === count && at;
      },
      { deadlineMs: 60_000, everyMs: 100 },
    );

  const answers = await replay(gateway.url, gateway.key, recordedTraffic());
  t.ok(answers.every(({ status }) => status === 200));
  const before = await scraped('mcp_protocol_latency_seconds_count', RECORDED.protocol_latency);

  const next = demoTraffic(seeded(7));
  const demo = Array.from({ length: ROUNDS }, () => next(Date.now()));
  for (const metrics of demo) {
    const answer = await gateway.post({ service: 'demo', metrics });
    if (answer.status !== 200) throw new Error(`${answer.status} ${await answer.text()}`);
  }
  await trouble(gateway);
  await gateway.flush();
  const database = new Database(gateway.databasePath, { readonly: true });
  t.teardown(() => database.close());
  const sql = (query: string): number => database.prepare(query).pluck().get() as number;
  await scraped('mcp_protocol_latency_seconds_count', sql('SELECT count(*) FROM protocol_metrics'));
  const now = await scraped('mcp_custom_total', sql("SELECT count(*) FROM metrics WHERE metric_type = 'custom'"));

  /** The panel's first target, as Grafana would ask for it now. */
  const panel = async (title: string, values: Readonly<Record<string, string>> = {}, refId = 'A') => {
    const target = analytics.panels
      .find((candidate) => candidate.title === title)
      ?.targets?.find((candidate) => candidate.refId === refId);
    if (target === undefined) throw new Error(`no panel ${title} with ${refId}`);
    return ask(interpolate(target.expr, values), now);
  };
  const valueOf = async (...of: Parameters<typeof panel>): Promise<number> => (await panel(...of))[0]?.value ?? 0;

  await t.test('no expression fails, none is empty', async (t) => {
    for (const dashboard of [analytics, health]) {
      for (const { title, targets = [] } of dashboard.panels) {
        for (const { expr, refId, range } of targets) {
          const samples = await ask(interpolate(expr), now, range === true);
          t.ok(
            samples.some(({ value }) => Number.isFinite(value)),
            `${dashboard.title}: ${title} ${refId}`,
          );
        }
      }
      for (const { name, expr } of dashboard.annotations.list) {
        const [started] = await ask(expr, now);
        t.ok((started?.value ?? 0) > now - 600_000 && (started?.value ?? 0) <= now, name);
      }
      for (const { name, type, query } of dashboard.templating.list.filter(({ type }) => type === 'query')) {
        const text = typeof query === 'string' ? query : query.query;
        const [, selector = '', label = ''] =
          /^label_values\((.*), (\w+)\)$/.exec(text) ?? /^query_result\((.*)()\)$/.exec(text) ?? [];
        const expr = label === '' ? selector : `group by (${label}) (${selector})`;
        t.ok((await ask(expr, now)).length > 0, `the ${type} variable ${name} has values`);
      }
    }
  });

  await t.test('numbers over the range are those of SQLite', async (t) => {
    const where = (method: string): string => `SELECT count(*) FROM tool_metrics WHERE method = '${method}'`;
    t.equal(await valueOf('Tool calls'), sql(where('tools/call')));
    t.equal(await valueOf('Sessions'), sql(where('initialize')));
    t.equal(await valueOf('Failed tool calls'), sql(`${where('tools/call')} AND NOT success`));
    const close = (found: number, wanted: number, what: string): unknown =>
      t.ok(Math.abs(found - wanted) < 1e-9, `${what}: ${found}, in SQLite ${wanted}`);
    close(await valueOf('Authentication success'), sql('SELECT 100.0 * avg(success) FROM auth_metrics'), 'auth');
    close(
      await valueOf('Tool call success'),
      sql("SELECT 100.0 * avg(success) FROM tool_metrics WHERE method = 'tools/call'"),
      'tools',
    );
    const grouped = (query: string): Record<string, number> =>
      Object.fromEntries(
        (database.prepare(query).raw().all() as [string | null, number][]).map(([key, count]) => [key ?? '', count]),
      );
    const by = (samples: readonly Sample[], label: string): Record<string, number> =>
      Object.fromEntries(samples.map(({ metric, value }) => [metric[label] ?? '', value]));
    t.strictSame(
      by(await panel('Authentication methods'), 'method'),
      grouped('SELECT method, count(*) FROM auth_metrics GROUP BY 1'),
    );
    t.strictSame(
      by(await panel('Initializations by client'), 'client_name'),
      grouped("SELECT client_name, count(*) FROM tool_metrics WHERE method = 'initialize' GROUP BY 1"),
    );
    t.strictSame(
      by(await panel('Error codes of tools'), 'error_code'),
      grouped('SELECT error_code, count(*) FROM tool_metrics WHERE error_code IS NOT NULL GROUP BY 1'),
    );
    t.strictSame(
      by(await panel('Top servers'), 'server_name'),
      grouped(
        'SELECT server_name, count(*) FROM tool_metrics WHERE server_name IS NOT NULL GROUP BY 1 ORDER BY 2 DESC LIMIT 10',
      ),
    );
    t.strictSame(
      by(await panel('Servers', {}, 'C'), 'server_name'),
      grouped("SELECT server_name, count(*) FROM tool_metrics WHERE method = 'tools/call' GROUP BY 1"),
      'a column of a table',
    );
    const named = (samples: readonly Sample[]): Record<string, number> =>
      Object.fromEntries(
        samples.map(({ metric, value }) => [`${metric['server_name']} ${metric['tool_name']}`, value]),
      );
    const [calls, success] = [await panel('Tools'), await panel('Tools', {}, 'B')];
    t.strictSame(
      named(calls),
      grouped(
        "SELECT server_name || ' ' || tool_name, count(*) FROM tool_metrics WHERE method = 'tools/call' GROUP BY 1",
      ),
    );
    const wanted = grouped(
      "SELECT server_name || ' ' || tool_name, 100.0 * avg(success) FROM tool_metrics WHERE method = 'tools/call' GROUP BY 1",
    );
    for (const [name, found] of Object.entries(named(success))) close(found, wanted[name] ?? Number.NaN, name);
    close(
      await valueOf('Registry success'),
      sql(
        "SELECT 100.0 * avg(json_extract(dimensions, '$.success')) FROM metrics WHERE metric_type = 'registry_operation'",
      ),
      'registry',
    );
  });

  await t.test('what the alarms count is what SQLite has', async (t) => {
    const { groups } = parse(readFileSync(join(ROOT, 'deploy/prometheus/rules/recording.yml'), 'utf8')) as {
      groups: { rules: { record: string; expr: string }[] }[];
    };
    const rule = (name: string): string =>
      groups.flatMap(({ rules }) => rules).find(({ record }) => record === name)?.expr ?? '';
    const counted = async (name: string): Promise<number> => (await ask(`sum(${rule(name)})`, now))[0]?.value ?? 0;
    t.ok(now - before < 240_000, 'all of it was sent within the window');
    t.equal(await counted('mcp:auth_requests:count5m'), sql('SELECT count(*) FROM auth_metrics'));
    t.equal(
      await counted('mcp:tool_calls:count5m'),
      sql("SELECT count(*) FROM tool_metrics WHERE method = 'tools/call'"),
    );
    const sums = (await ask(rule('mcp:metrics:total'), now)).reduce((sum, { value }) => sum + value, 0);
    t.equal(sums, sql("SELECT sum(CASE metric_type WHEN 'protocol_latency' THEN 1 ELSE value END) FROM metrics"));
  });

  await t.test('sparse series count whole, where increase() does not', async (t) => {
    // Only the demo's metrics lie in this window; many of its series got their first sample in it.
    const window = `${now - before}ms`;
    const range = { __range: window };
    const query = "SELECT count(*) FROM tool_metrics WHERE service = 'demo' AND method = 'tools/call'";
    const wanted = sql(query);
    t.ok(wanted > ROUNDS);
    t.equal(await valueOf('Tool calls', range), wanted);
    // Sent in one request, once: each of these series has one value, in which `increase()` sees no growth.
    const once = 'mcp_custom_total{metric_name=~"name-[0-9]"}';
    const [[whole], [increase]] = [
      await ask(`sum(${countOf(once, window)})`, now),
      await ask(`sum(increase(${once}[${window}]))`, now),
    ];
    t.equal(whole?.value, 10);
    t.equal(increase?.value ?? 0, 0);
  });

  await t.test('variables filter', async (t) => {
    const github = { service: 'demo', server: 'github' };
    t.equal(
      await valueOf('Tool calls', github),
      sql(
        "SELECT count(*) FROM tool_metrics WHERE method = 'tools/call' AND server_name = 'github' AND service = 'demo'",
      ),
    );
    t.equal(
      (await panel('Authentication methods', github)).reduce((sum, { value }) => sum + value, 0),
      sql("SELECT count(*) FROM auth_metrics WHERE server = 'github' AND service = 'demo'"),
    );
    const jwt = { auth_method: 'jwt' };
    t.equal((await panel('Authentication methods', jwt)).length, 1);
    t.equal(await valueOf('Tool calls', jwt), await valueOf('Tool calls'), 'a tool has no auth method');
    const client = { client: 'mcp-inspector' };
    t.equal(
      await valueOf('Sessions', client),
      sql("SELECT count(*) FROM tool_metrics WHERE method = 'initialize' AND client_name = 'mcp-inspector'"),
    );
  });

  await t.test(
    'npm run dashboards:pictures draws every panel with what Prometheus holds, and says that it is not Grafana',
    async (t) => {
      await promisify(execFile)(
        process.execPath,
        [join(ROOT, 'scripts/dashboard-pictures.ts'), '--prometheus', prometheus.url, '--minutes', '5', '--to', folder],
        { cwd: ROOT },
      );
      for (const { uid, title, panels } of [analytics, health]) {
        const picture = readFileSync(join(folder, `${uid}.svg`), 'utf8');
        t.match(picture, /^<svg xmlns/);
        for (const text of [title, 'Not a screenshot of Grafana', ...panels.map((panel) => panel.title)]) {
          t.ok(picture.includes(`>${text}`), `${uid}: ${text}`);
        }
        t.notMatch(picture, /no data|NaN|undefined/, `${uid}: no panel is without data`);
      }
      const drawn = readFileSync(join(folder, `${analytics.uid}.svg`), 'utf8');
      const range = { __range: '5m' };
      t.ok(drawn.includes(`>${Math.round(await valueOf('Failed tool calls', range))}<`), 'the number of the panel');
    },
  );
});
