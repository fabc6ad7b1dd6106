/** The panels that a chart library draws: courses over time and shares of a whole, each as one SVG. */
import * as echarts from 'echarts';
import type { DashboardPanel } from './dashboard-file.ts';
import type { Series, Span } from './data.ts';
import { FAINT, FONT, fit, INK } from './svg.ts';
import { format, namedColour, SERIES_COLOURS } from './values.ts';

export interface Size {
  readonly width: number;
  readonly height: number;
}

function draw({ width, height }: Size, option: echarts.EChartsCoreOption): string {
  const chart = echarts.init(null, null, { renderer: 'svg', ssr: true, width, height });
  chart.setOption({
    animation: false,
    color: [...SERIES_COLOURS],
    textStyle: { fontFamily: FONT, color: INK },
    ...option,
  });
  // What a page with scripts would need to find the parts again is left out.
  const svg = chart.renderToSVGString().replaceAll(/ (?:ecmeta_\w+|class)="[^"]*"|<style>[^]*?<\/style>/g, '');
  chart.dispose();
  return svg;
}

const clock = new Intl.DateTimeFormat('en-GB', { hour: '2-digit', minute: '2-digit', timeZone: 'UTC' });

/** Where a panel overrides the colour of a series by its name. */
const colourOf = ({ fieldConfig }: DashboardPanel, name: string): string | undefined => {
  const properties = fieldConfig?.overrides.find(({ matcher }) => matcher.options === name)?.properties;
  const color = properties?.find(({ id }) => id === 'color')?.value as { fixedColor: string } | undefined;
  return color && namedColour(color.fixedColor);
};

/** Stacked bars lie on each other by their place in the list: what has no point at a step has 0 there. */
function atEveryStep(series: readonly Series[], { from, to, stepSeconds }: Span): [number, number][][] {
  const first = Math.min(to, ...series.flatMap(({ points }) => points.slice(0, 1).map(([at]) => at)));
  const begin = from + Math.ceil((first - from) / 1000 / stepSeconds) * stepSeconds * 1000;
  return series.map(({ points }) => {
    const values = new Map(points.map(([at, value]) => [Math.round(at), value]));
    const row: [number, number][] = [];
    for (let at = begin; at <= to; at += stepSeconds * 1000) row.push([at, values.get(Math.round(at)) ?? 0]);
    return row;
  });
}

/** Steps of an axis of bytes that read well: a power of two. */
function bytesAxis(series: readonly Series[]): { readonly interval: number; readonly max: number } {
  const most = Math.max(4, ...series.flatMap(({ points }) => points.map(([, value]) => value)));
  const interval = 2 ** Math.ceil(Math.log2(most / 4));
  return { interval, max: interval * Math.ceil(most / interval) };
}

/** Lines, or stacked bars where the panel counts per interval; a dashed line where the gateway was started. */
export function course(
  panel: DashboardPanel,
  series: readonly Series[],
  span: Span,
  starts: readonly number[],
  size: Size,
): string {
  const { unit, custom } = panel.fieldConfig?.defaults ?? {};
  const bars = custom?.drawStyle === 'bars';
  const rows = bars ? atEveryStep(series, span) : series.map(({ points }) => points);
  const legend = legendOf(series, size.width);
  return draw(size, {
    grid: { left: 8, right: 14, top: 10, bottom: 14 + 20 * legend.rows, containLabel: true },
    legend: {
      bottom: 0,
      left: 4,
      itemWidth: 12,
      itemHeight: 4,
      itemGap: 18,
      icon: 'rect',
      data: [...legend.data],
      textStyle: { fontSize: 11 },
    },
    xAxis: {
      type: 'time',
      min: span.from,
      max: span.to,
      splitNumber: Math.max(2, Math.floor(size.width / 130)),
      axisLabel: { formatter: (at: number) => clock.format(at), fontSize: 10, color: FAINT, hideOverlap: true },
      axisLine: { lineStyle: { color: '#d1d5db' } },
    },
    yAxis: {
      type: 'value',
      min: 0,
      splitNumber: 4,
      ...(bars ? { minInterval: 1 } : undefined),
      ...(unit === 'bytes' ? bytesAxis(series) : undefined),
      axisLabel: { formatter: (value: number) => format(value, unit), fontSize: 10, color: FAINT },
      splitLine: { lineStyle: { color: '#eceef1' } },
    },
    series: series.map(({ name }, index) => {
      // A bar of nothing is not drawn: '-' is how the library is told of a gap.
      const data = (rows[index] ?? []).map(([at, value]) => [
        at,
        bars && value === 0 ? '-' : Number(value.toPrecision(4)),
      ]);
      const color = colourOf(panel, name);
      return {
        name,
        data,
        silent: true,
        ...(color === undefined ? undefined : { color }),
        ...(bars
          ? { type: 'bar', stack: 'all', barWidth: barWidth(span, size.width) }
          : { type: 'line', showSymbol: data.length === 1, lineStyle: { width: 1.5 }, areaStyle: { opacity: 0.06 } }),
        ...(index > 0
          ? undefined
          : {
              markLine: {
                symbol: 'none',
                label: { show: false },
                lineStyle: { color: '#8f3bb8', type: 'dashed', width: 1 },
                data: starts.map((xAxis) => ({ xAxis })),
              },
            }),
      };
    }),
  });
}

const barWidth = ({ from, to, stepSeconds }: Span, width: number): number =>
  Math.max(1, Math.floor(((width - 70) / ((to - from) / 1000 / stepSeconds)) * 0.8));

/** Names that fit into two rows, and how many rows they take; what does not fit is drawn all the same. */
function legendOf(
  series: readonly Series[],
  width: number,
): { readonly data: readonly string[]; readonly rows: number } {
  const data: string[] = [];
  let used = 0;
  for (const { name } of series) {
    const wanted = used + 34 + name.length * 6;
    if (wanted > width * 1.8) break;
    used = wanted;
    data.push(name);
  }
  return { data, rows: used > width * 0.95 ? 2 : 1 };
}

/** A ring, and beside it each share with its number. */
export function shares({ fieldConfig }: DashboardPanel, series: readonly Series[], size: Size): string {
  const unit = fieldConfig?.defaults.unit;
  const parts = series
    .map(({ name, points }) => ({ name, value: points.at(-1)?.[1] ?? 0 }))
    .filter(({ value }) => value > 0)
    .toSorted((a, b) => b.value - a.value);
  const whole = parts.reduce((sum, { value }) => sum + value, 0);
  const room = size.width * 0.5;
  const ring = Math.min(size.width * 0.2, size.height * 0.38);
  return draw(size, {
    legend: {
      orient: 'vertical',
      left: '47%',
      top: 'middle',
      itemWidth: 10,
      itemHeight: 10,
      icon: 'rect',
      textStyle: { fontSize: 11 },
      formatter: (name: string) => {
        const value = parts.find((part) => part.name === name)?.value ?? 0;
        return `${fit(name, room - 100, 11)}  ${format(value, unit)}  ${format((100 * value) / whole, 'percent')}`;
      },
    },
    series: [
      {
        type: 'pie',
        radius: [ring * 0.58, ring],
        center: ['23%', '50%'],
        label: { show: false },
        silent: true,
        itemStyle: { borderColor: '#ffffff', borderWidth: 1 },
        data: parts,
      },
    ],
  });
}
