/** The table of all figures, as Markdown: it goes into docs/performance.md as it is. */
import { type Figure, reached } from './scenario.ts';

const number = (value: number): string => {
  const digits = Math.abs(value) >= 100 ? 0 : Math.abs(value) >= 10 ? 1 : Math.abs(value) >= 0.1 ? 2 : 4;
  return value.toLocaleString('en-US', { minimumFractionDigits: digits, maximumFractionDigits: digits });
};

const VERDICTS = new Map([
  [undefined, ''],
  [true, 'yes'],
  [false, '**no**'],
]);

function cells(name: string, figure: Figure): string[] {
  const { what, value, unit, baseline, ratio, goal } = figure;
  return [
    name,
    what,
    `${number(value)} ${unit}`.trim(),
    baseline === undefined ? '' : `${number(baseline.value)} (${baseline.what})`,
    ratio === undefined ? '' : `${number(ratio)} ×`,
    goal === undefined ? '' : 'atMost' in goal ? `≤ ${goal.atMost}` : `≥ ${goal.atLeast}`,
    VERDICTS.get(reached(figure)) ?? '',
  ];
}

export function rows(results: Readonly<Record<string, readonly Figure[]>>): string[] {
  const table = [
    ['scenario', 'what', 'figure', 'baseline, same rounds', 'ratio', 'goal', 'reached'],
    ...Object.entries(results).flatMap(([name, figures]) => figures.map((figure) => cells(name, figure))),
  ];
  const widths = table[0]!.map((_, column) => Math.max(...table.map((row) => row[column]!.length)));
  const line = (row: readonly string[]): string =>
    `| ${row.map((cell, column) => cell.padEnd(widths[column]!)).join(' | ')} |`;
  const [head, ...body] = table;
  return [line(head!), `|${widths.map((width) => '-'.repeat(width + 2)).join('|')}|`, ...body.map(line)];
}
