/** The dashboards as files: generated from their sources, complete, and every variable used wherever it can be. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { dashboards } from '../../deploy/grafana/src/dashboards.ts';
import { readDashboard } from '../../deploy/grafana/src/picture/dashboard-file.ts';
import { ROOT } from '../support/root.ts';

const FOLDER = join(ROOT, 'deploy/grafana');
const UIDS = ['mcp-analytics-comprehensive', 'mcp-gateway-health'];

t.test('what is committed is what the sources say', (t) => {
  const generated = dashboards();
  t.strictSame(Object.keys(generated), readdirSync(join(FOLDER, 'dashboards')).toSorted());
  for (const [name, text] of Object.entries(generated)) {
    t.equal(readFileSync(join(FOLDER, 'dashboards', name), 'utf8'), text, `${name}; else: npm run dashboards`);
  }
  t.end();
});

for (const uid of UIDS) {
  t.test(uid, (t) => {
    const dashboard = readDashboard(uid);
    t.match(dashboard, { uid, refresh: '30s', time: { from: 'now-1h', to: 'now' } });
    t.equal(dashboard.templating.list[0]?.type, 'datasource');
    t.match(dashboard.annotations.list[0]?.expr, /^process_start_time_seconds/, 'restarts are annotated');
    t.equal(new Set(dashboard.panels.map(({ id }) => id)).size, dashboard.panels.length, 'ids are unique');
    const titles = dashboard.panels.map(({ title }) => title);
    t.equal(new Set(titles).size, titles.length, 'titles are unique');
    for (const panel of dashboard.panels.filter(({ type }) => type !== 'row')) {
      t.equal(panel.datasource?.uid, '${datasource}', `${panel.title} asks the chosen data source`);
      t.ok((panel.description ?? '').length > 10, `${panel.title} says what it shows`);
      t.ok(panel.gridPos.x + panel.gridPos.w <= 24, `${panel.title} fits`);
    }
    const cells = dashboard.panels.flatMap(({ gridPos: { x, y, w, h } }) =>
      Array.from({ length: w * h }, (_, cell) => `${x + (cell % w)},${y + Math.floor(cell / w)}`),
    );
    t.equal(new Set(cells).size, cells.length, 'no panel lies on another');
    t.end();
  });
}

/** Labels by metric as docs/metrics.md tells them, against the variable that filters each. */
const FILTERED: readonly (readonly [metric: RegExp, labels: Readonly<Record<string, string>>])[] = [
  [/^mcp_auth_/, { service: '$service', server: '$server', method: '$auth_method' }],
  [/^mcp_tool_execution/, { service: '$service', server_name: '$server', method: '$method', client_name: '$client' }],
  [/^mcp_protocol_latency/, { service: '$service', server_name: '$server' }],
  [/^mcp_(tool_discovery|registry_operation|health_check|custom)/, { service: '$service' }],
];

t.test('every panel obeys every variable that its metrics have a label for', (t) => {
  const { panels, templating } = readDashboard('mcp-analytics-comprehensive');
  const used = new Set<string>();
  for (const { title, targets = [] } of panels) {
    for (const { expr } of targets) {
      const selectors = [...expr.matchAll(/\b(mcp_\w+)(\{[^}]*\})?/g)];
      t.ok(selectors.length > 0, `${title} asks for a metric`);
      for (const [, metric = '', matchers = ''] of selectors) {
        const labels = FILTERED.find(([pattern]) => pattern.test(metric))?.[1];
        if (labels === undefined) {
          t.fail(`${title}: ${metric} is unknown`);
          continue;
        }
        for (const [label, variable] of Object.entries(labels)) {
          used.add(variable.slice(1));
          if (!matchers.includes(`${label}=~"${variable}"`)) t.fail(`${title}: ${metric} does not obey ${variable}`);
        }
      }
    }
  }
  const declared = templating.list.filter(({ type }) => type === 'query');
  t.strictSame(declared.map(({ name }) => name).toSorted(), [...used].toSorted(), 'none is declared in vain');
  t.ok(declared.every(({ multi, allValue }) => multi === true && allValue === '.*'));
  t.end();
});

t.test('success is red below 85 %, orange to 95 % and green above', (t) => {
  const { panels } = readDashboard('mcp-analytics-comprehensive');
  const success = panels.filter(({ type, title }) => type === 'stat' && /success|passed/.test(title));
  t.equal(success.length, 4);
  for (const { title, fieldConfig } of success) {
    t.strictSame(
      fieldConfig?.defaults.thresholds?.steps,
      [
        { value: null, color: 'red' },
        { value: 85, color: 'orange' },
        { value: 95, color: 'green' },
      ],
      title,
    );
  }
  t.end();
});
