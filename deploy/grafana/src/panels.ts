/** The kinds of panels that both dashboards are made of. All ask the data source of the dashboard's own variable. */
import type { Builder, Dataquery } from '@grafana/grafana-foundation-sdk/cog';
import * as bargauge from '@grafana/grafana-foundation-sdk/bargauge';
import * as common from '@grafana/grafana-foundation-sdk/common';
import * as dashboard from '@grafana/grafana-foundation-sdk/dashboard';
import * as piechart from '@grafana/grafana-foundation-sdk/piechart';
import * as prometheus from '@grafana/grafana-foundation-sdk/prometheus';
import * as stat from '@grafana/grafana-foundation-sdk/stat';
import * as table from '@grafana/grafana-foundation-sdk/table';
import * as timeseries from '@grafana/grafana-foundation-sdk/timeseries';

export type Panel = Builder<dashboard.Panel>;

export const DATASOURCE: common.DataSourceRef = { type: 'prometheus', uid: '${datasource}' };
export const NO_DATA = 'no data';

/** What is common to all kinds. `span` of 24 columns; the unit is Grafana's id. */
interface Look {
  readonly description: string;
  readonly span: number;
  readonly unit?: string;
  /** Ascending: the colour from each value on; the first has none. */
  readonly thresholds?: readonly dashboard.Threshold[];
}

type Expression = readonly [expr: string, legend: string];

const thresholdsOf = (steps: readonly dashboard.Threshold[] = [{ value: null, color: 'blue' }]) =>
  new dashboard.ThresholdsConfigBuilder().mode(dashboard.ThresholdsMode.Absolute).steps([...steps]);

/** Success in percent: red below 85, orange to 95, green above. */
export const SUCCESS: readonly dashboard.Threshold[] = [
  { value: null, color: 'red' },
  { value: 85, color: 'orange' },
  { value: 95, color: 'green' },
];
export const NONE_IS_GOOD: readonly dashboard.Threshold[] = [
  { value: null, color: 'green' },
  { value: 1, color: 'red' },
];

const queries = (
  expressions: readonly Expression[],
  each: (query: prometheus.DataqueryBuilder) => prometheus.DataqueryBuilder,
): Builder<Dataquery>[] =>
  expressions.map(([expr, legend], index) =>
    each(
      new prometheus.DataqueryBuilder()
        .refId(String.fromCharCode(65 + index))
        .expr(expr)
        .legendFormat(legend),
    ),
  );
const atTheEnd = (expressions: readonly Expression[]): Builder<Dataquery>[] =>
  queries(expressions, (query) => query.instant());

const lastValues = (): common.ReduceDataOptionsBuilder =>
  new common.ReduceDataOptionsBuilder().calcs(['lastNotNull']).values(false);

/** One number each. */
export const number = (title: string, look: Look, ...expressions: readonly Expression[]): Panel =>
  new stat.PanelBuilder()
    .title(title)
    .description(look.description)
    .datasource(DATASOURCE)
    .height(4)
    .span(look.span)
    .unit(look.unit ?? 'short')
    .noValue(NO_DATA)
    .thresholds(thresholdsOf(look.thresholds))
    .colorScheme(new dashboard.FieldColorBuilder().mode(dashboard.FieldColorModeId.Thresholds))
    .graphMode(common.BigValueGraphMode.None)
    .reduceOptions(lastValues())
    .targets(atTheEnd(expressions));

interface CourseLook extends Look {
  /** Counts per interval are bars, stacked; all else is lines. */
  readonly draw: 'bars' | 'lines';
  /** Colours by legend, where a series has a meaning of its own. */
  readonly colors?: Readonly<Record<string, string>>;
}

/** Values over time. */
export function course(title: string, look: CourseLook, ...expressions: readonly Expression[]): Panel {
  const panel = new timeseries.PanelBuilder()
    .title(title)
    .description(look.description)
    .datasource(DATASOURCE)
    .height(8)
    .span(look.span)
    .unit(look.unit ?? 'short')
    .noValue(NO_DATA)
    .min(0)
    // Not shorter than two scrapes, so that every interval has a sample of its own.
    .interval('30s')
    .thresholds(thresholdsOf(look.thresholds))
    .showPoints(common.VisibilityMode.Auto)
    .legend(
      new common.VizLegendOptionsBuilder()
        .showLegend(true)
        .displayMode(common.LegendDisplayMode.List)
        .placement(common.LegendPlacement.Bottom),
    )
    .tooltip(new common.VizTooltipOptionsBuilder().mode(common.TooltipDisplayMode.Multi))
    .targets(queries(expressions, (query) => query.range()));
  for (const [name, fixedColor] of Object.entries(look.colors ?? {})) {
    panel.overrideByName(name, [{ id: 'color', value: { mode: 'fixed', fixedColor } }]);
  }
  return look.draw === 'lines'
    ? panel.drawStyle(common.GraphDrawStyle.Line).fillOpacity(8)
    : panel
        .drawStyle(common.GraphDrawStyle.Bars)
        .fillOpacity(70)
        .lineWidth(0)
        .stacking(new common.StackingConfigBuilder().mode(common.StackingMode.Normal));
}

/** Shares of a whole. */
export const shares = (title: string, look: Look, ...expressions: readonly Expression[]): Panel =>
  new piechart.PanelBuilder()
    .title(title)
    .description(look.description)
    .datasource(DATASOURCE)
    .height(8)
    .span(look.span)
    .unit(look.unit ?? 'short')
    .noValue(NO_DATA)
    .pieType(piechart.PieChartType.Donut)
    .displayLabels([piechart.PieChartLabels.Name, piechart.PieChartLabels.Percent])
    .legend(
      new piechart.PieChartLegendOptionsBuilder()
        .showLegend(true)
        .displayMode(common.LegendDisplayMode.Table)
        .placement(common.LegendPlacement.Right)
        .values([piechart.PieChartLegendValues.Value, piechart.PieChartLegendValues.Percent]),
    )
    .reduceOptions(lastValues())
    .targets(atTheEnd(expressions));

/** The largest, as bars. */
export const ranking = (title: string, look: Look, ...expressions: readonly Expression[]): Panel =>
  new bargauge.PanelBuilder()
    .title(title)
    .description(look.description)
    .datasource(DATASOURCE)
    .height(8)
    .span(look.span)
    .unit(look.unit ?? 'short')
    .noValue(NO_DATA)
    .min(0)
    .thresholds(thresholdsOf(look.thresholds))
    .orientation(common.VizOrientation.Horizontal)
    .displayMode(common.BarGaugeDisplayMode.Basic)
    .reduceOptions(lastValues())
    .targets(atTheEnd(expressions));

interface Column {
  readonly name: string;
  readonly expr: string;
  readonly unit?: string;
  readonly thresholds?: readonly dashboard.Threshold[];
}

/** One row per combination of `labels`, one column per expression. */
export function rows(
  title: string,
  look: Look & { readonly height: number },
  labels: readonly string[],
  columns: readonly Column[],
): Panel {
  const refIds = columns.map((_, index) => String.fromCharCode(65 + index));
  const panel = new table.PanelBuilder()
    .title(title)
    .description(look.description)
    .datasource(DATASOURCE)
    .height(look.height)
    .span(look.span)
    .noValue('')
    .filterable(true)
    .targets(
      queries(
        columns.map(({ expr, name }) => [expr, name] as const),
        (query) => query.instant().format(prometheus.PromQueryFormat.Table),
      ),
    )
    .transformations([
      { id: 'merge', options: {} },
      {
        id: 'organize',
        options: {
          excludeByName: { Time: true },
          indexByName: Object.fromEntries(
            [...labels, ...refIds.map((refId) => `Value #${refId}`)].map((name, index) => [name, index]),
          ),
          renameByName: Object.fromEntries(columns.map(({ name }, index) => [`Value #${refIds[index] ?? ''}`, name])),
        },
      },
      { id: 'sortBy', options: { sort: [{ field: columns[0]?.name ?? '', desc: true }] } },
    ]);
  for (const { name, unit, thresholds } of columns) {
    panel.overrideByName(name, [
      { id: 'unit', value: unit ?? 'short' },
      ...(thresholds === undefined
        ? []
        : [
            { id: 'thresholds', value: thresholdsOf(thresholds).build() },
            { id: 'custom.cellOptions', value: { type: 'color-text' } },
          ]),
    ]);
  }
  return panel;
}
