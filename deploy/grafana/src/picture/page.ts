/** One dashboard as one SVG: each panel in its place of the grid, with what a Prometheus answered. It is not Grafana, and says so. */
import { course, shares, type Size } from './charts.ts';
import type { DashboardFile, DashboardPanel } from './dashboard-file.ts';
import { askPanel, restarts, type Series, type Span } from './data.ts';
import { number, ranking, table } from './marks.ts';
import { FAINT, FONT, fit, INK, rectangle, text } from './svg.ts';

const WIDTH = 1240;
const MARGIN = 10;
const COLUMN = (WIDTH - 2 * MARGIN) / 24;
const LINE = 32;
const HEADER = 92;
const TITLE = 26;
export const CAPTION =
  'Not a screenshot of Grafana: the panels’ data, asked of a real Prometheus and drawn by the project’s own npm run dashboards:pictures.';

/** Without data it says so, as Grafana would: `noValue`. */
function inside(
  panel: DashboardPanel,
  series: readonly Series[],
  span: Span,
  starts: readonly number[],
  size: Size,
): string {
  if (!series.some(({ points }) => points.length > 0)) {
    return text(size.width / 2, size.height / 2, 'no data', { anchor: 'middle', fill: FAINT });
  }
  switch (panel.type) {
    case 'stat':
      return number(panel, series, size);
    case 'timeseries':
      return course(panel, series, span, starts, size);
    case 'piechart':
      return shares(panel, series, size);
    case 'bargauge':
      return ranking(panel, series, size);
    case 'table':
      return table(panel, series, size);
    default:
      throw new Error(`${panel.title}: no way to draw a panel of the type ${panel.type}`);
  }
}

/** @param url of a Prometheus, without a slash at the end */
export async function drawDashboard(url: string, dashboard: DashboardFile, span: Span): Promise<string> {
  const starts = await restarts(url, dashboard.annotations.list[0]?.expr ?? '', span);
  const panels = await Promise.all(
    dashboard.panels.map(async (panel) => {
      const { x, y, w, h } = panel.gridPos;
      const [left, top] = [MARGIN + x * COLUMN, HEADER + y * LINE];
      if (panel.type === 'row') return text(left + 4, top + 22, panel.title, { size: 15, weight: 600 });
      const [width, height] = [w * COLUMN - 6, h * LINE - 6];
      const size = { width: width - 12, height: height - TITLE - 8 };
      const series = await askPanel(url, panel, span);
      return [
        `<g transform="translate(${left.toFixed(1)} ${top})">`,
        rectangle(0, 0, width, height, '#ffffff', ' rx="4" stroke="#e0e3e8"'),
        text(10, 19, fit(panel.title, width - 20), { weight: 600 }),
        `<g transform="translate(6 ${TITLE})">${inside(panel, series, span, starts, size)}</g>`,
        '</g>',
      ].join('');
    }),
  );
  const bottom = Math.max(...dashboard.panels.map(({ gridPos: { y, h } }) => y + h));
  const height = HEADER + bottom * LINE + MARGIN;
  const variables = dashboard.templating.list
    .filter(({ type }) => type === 'query')
    .map(({ name, label }) => `${label ?? name}: All`)
    .join(' · ');
  const when = (at: number): string => new Date(at).toISOString().slice(0, 16).replace('T', ' ');
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" width="${WIDTH}" height="${height}" viewBox="0 0 ${WIDTH} ${height}" font-family="${FONT}">`,
    rectangle(0, 0, WIDTH, height, '#f4f5f7'),
    text(14, 30, dashboard.title, { size: 20, weight: 700 }),
    text(WIDTH - 14, 30, `${when(span.from)} to ${when(span.to)} UTC`, { anchor: 'end', fill: FAINT }),
    text(14, 52, CAPTION, { fill: '#8f3bb8', weight: 600 }),
    text(14, 76, variables === '' ? dashboard.description : variables, { fill: INK }),
    ...(starts.length === 0
      ? []
      : [text(WIDTH - 14, 52, 'dashed: the gateway was started', { anchor: 'end', fill: '#8f3bb8' })]),
    ...panels,
    '</svg>',
    '',
  ].join('\n');
}
