/** The panels that need no chart: one number, bars of a ranking, a table. */
import type { Size } from './charts.ts';
import type { DashboardPanel, Threshold } from './dashboard-file.ts';
import type { Series } from './data.ts';
import { FAINT, fit, INK, rectangle, text } from './svg.ts';
import { format, thresholdColour } from './values.ts';

const lastOf = ({ points }: Series): number => points.at(-1)?.[1] ?? Number.NaN;

export function number({ fieldConfig }: DashboardPanel, [series]: readonly Series[], { width, height }: Size): string {
  if (series === undefined) return '';
  const { unit, thresholds } = fieldConfig?.defaults ?? {};
  const value = lastOf(series);
  return text(width / 2, height / 2 + 12, format(value, unit), {
    size: 38,
    weight: 600,
    anchor: 'middle',
    fill: thresholdColour(value, thresholds?.steps),
  });
}

export function ranking({ fieldConfig }: DashboardPanel, series: readonly Series[], { width, height }: Size): string {
  const { unit, thresholds } = fieldConfig?.defaults ?? {};
  const ranked = series.toSorted((a, b) => lastOf(b) - lastOf(a));
  const line = Math.min(30, (height - 8) / Math.max(1, ranked.length));
  const most = Math.max(...ranked.map(lastOf), 1);
  const names = Math.min(280, width * 0.42);
  return ranked
    .map((one, index) => {
      const top = 4 + index * line;
      const bar = (lastOf(one) / most) * (width - names - 60);
      const fill = thresholdColour(lastOf(one), thresholds?.steps);
      return (
        text(names - 6, top + line / 2 + 4, fit(one.name, names - 12, 11), { size: 11, anchor: 'end' }) +
        rectangle(names, top + 2, bar, line - 5, fill, ' rx="2" opacity="0.85"') +
        text(names + bar + 6, top + line / 2 + 4, format(lastOf(one), unit), { size: 11, weight: 600 })
      );
    })
    .join('');
}

interface Row {
  readonly labels: Readonly<Record<string, string>>;
  readonly values: Map<string, number>;
}

/** One row per set of labels, one column per target, by the first column from the largest on: as its transformations say. */
export function table(panel: DashboardPanel, series: readonly Series[], { width, height }: Size): string {
  const rows = new Map<string, Row>();
  for (const one of series) {
    const key = JSON.stringify(Object.entries(one.labels).toSorted(([a], [b]) => a.localeCompare(b)));
    const row = rows.get(key) ?? { labels: one.labels, values: new Map<string, number>() };
    rows.set(key, row.values.has(one.refId) ? row : { ...row, values: row.values.set(one.refId, lastOf(one)) });
  }
  const columns = panel.targets ?? [];
  const [first] = columns;
  const labels = [...new Set(series.flatMap((one) => Object.keys(one.labels)))].toSorted();
  const ordered = [...rows.values()].toSorted(
    (a, b) => (b.values.get(first?.refId ?? '') ?? 0) - (a.values.get(first?.refId ?? '') ?? 0),
  );
  const shown = ordered.slice(0, Math.floor((height - 30) / 22));
  const cell = width / (labels.length * 1.6 + columns.length);
  const at = (column: number): number => 10 + column * cell * 1.6;
  const valueAt = (column: number): number => at(labels.length) + (column + 0.8) * cell;
  const look = (name: string, id: string): unknown =>
    panel.fieldConfig?.overrides
      .find(({ matcher }) => matcher.options === name)
      ?.properties.find((property) => property.id === id)?.value;

  const head =
    labels.map((label, column) => text(at(column), 18, label, { size: 11, fill: FAINT, weight: 600 })).join('') +
    columns
      .map(({ legendFormat }, column) =>
        text(valueAt(column), 18, legendFormat, { size: 11, fill: FAINT, weight: 600, anchor: 'end' }),
      )
      .join('');
  const lines = shown.map(({ labels: own, values }, index) => {
    const y = 42 + index * 22;
    const names = labels.map((label, column) => text(at(column), y, fit(own[label] ?? '', cell * 1.5)));
    const numbers = columns.map(({ refId, legendFormat }, column) => {
      const value = values.get(refId);
      if (value === undefined) return '';
      const steps = (look(legendFormat, 'thresholds') as { steps: readonly Threshold[] } | undefined)?.steps;
      const fill = steps === undefined ? INK : thresholdColour(value, steps);
      const shownAs = format(value, look(legendFormat, 'unit') as string | undefined);
      return text(valueAt(column), y, shownAs, { anchor: 'end', fill, weight: steps === undefined ? 400 : 600 });
    });
    return rectangle(6, y + 6, width - 12, 1, '#eceef1') + names.join('') + numbers.join('');
  });
  const hidden = ordered.length - shown.length;
  const rest = hidden > 0 ? text(10, height - 4, `and ${hidden} more`, { size: 10, fill: FAINT }) : '';
  return head + lines.join('') + rest;
}
