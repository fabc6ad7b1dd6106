/** What both dashboards share: refresh, range, the data source variable, restarts as annotations, ids in order. */
import * as dashboard from '@grafana/grafana-foundation-sdk/dashboard';
import { DATASOURCE, type Panel } from './panels.ts';

export type Row = readonly [title: string, ...panels: readonly Panel[]];

interface Frame {
  /** Stable: links and bookmarks depend on it. */
  readonly uid: string;
  readonly title: string;
  readonly description: string;
  readonly variables: readonly dashboard.QueryVariableBuilder[];
  readonly rows: readonly Row[];
}

export function frame({ uid, title, description, variables, rows }: Frame): dashboard.Dashboard {
  const builder = new dashboard.DashboardBuilder(title)
    .uid(uid)
    .description(description)
    .tags(['mcp'])
    .refresh('30s')
    .time({ from: 'now-1h', to: 'now' })
    .timezone('browser')
    .editable()
    .tooltip(dashboard.DashboardCursorSync.Crosshair)
    .withVariable(new dashboard.DatasourceVariableBuilder('datasource').label('Data source').type('prometheus'))
    .annotation(
      new dashboard.AnnotationQueryBuilder()
        .name('Restarts of the gateway')
        .datasource(DATASOURCE)
        .enable(true)
        .iconColor('purple')
        .expr('process_start_time_seconds * 1000 and on (instance, job) mcp_gateway_build_info')
        .step('60s')
        .titleFormat('gateway started')
        .textFormat('{{instance}}')
        .useValueForTime(true),
    );
  for (const variable of variables) builder.withVariable(variable);
  for (const [name, ...panels] of rows) {
    builder.withRow(new dashboard.RowBuilder(name));
    for (const panel of panels) builder.withPanel(panel);
  }
  const built = builder.build();
  built.panels?.forEach((panel, index) => (panel.id = index + 1));
  return built;
}

/** A variable with the values of a label, all by default, several at once; a series without the label is among all. */
export const valuesOf = (name: string, label: string, query: string): dashboard.QueryVariableBuilder =>
  new dashboard.QueryVariableBuilder(name)
    .label(label)
    .datasource(DATASOURCE)
    .query({ query, refId: 'variable' })
    .refresh(dashboard.VariableRefresh.OnTimeRangeChanged)
    .sort(dashboard.VariableSort.AlphabeticalAsc)
    .multi(true)
    .includeAll(true)
    .allValue('.*')
    .current({ selected: true, text: ['All'], value: ['$__all'] });
