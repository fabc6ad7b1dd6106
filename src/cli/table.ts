/** Aligned tables and sparklines for people: plain text, whatever the texts in them hold. */

export type Cell = string | number | boolean | null | undefined;

const isNumber = (cell: Cell): cell is number => typeof cell === 'number';

/** Numbers that name something rather than count it. */
const NAMING: ReadonlySet<string> = new Set(['id', 'timestamp', 'status_code']);

/** Text from outside with what a terminal would obey, or show in another order, escaped. */
export const printable = (text: string): string =>
  text.replaceAll(
    /[\p{Cc}\u2028\u2029\u202a-\u202e\u2066-\u2069]/gu,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );

function textOf(cell: Cell, name: string): string {
  if (cell === null || cell === undefined) return '–';
  if (!isNumber(cell) || NAMING.has(name)) return printable(String(cell));
  if (Number.isInteger(cell)) return cell.toLocaleString('en-US');
  return Math.abs(cell) >= 100 ? cell.toFixed(0) : cell.toPrecision(3);
}

/** Numbers to the right, texts to the left; columns as wide as their widest cell. */
export function table(rows: readonly Readonly<Record<string, Cell>>[]): string {
  const [first] = rows;
  if (first === undefined) return 'nothing found\n';
  const names = Object.keys(first);
  const cells = rows.map((row) => names.map((name) => textOf(row[name], name)));
  const widths = names.map((name, at) => Math.max(name.length, ...cells.map((line) => line[at]!.length)));
  const right = names.map((name) =>
    rows.every((row) => isNumber(row[name]) || row[name] === null || row[name] === undefined),
  );
  const line = (parts: readonly string[]): string =>
    parts
      .map((part, at) => (right[at] === true ? part.padStart(widths[at]!) : part.padEnd(widths[at]!)))
      .join('  ')
      .trimEnd();
  return `${[line(names), line(widths.map((width) => '─'.repeat(width))), ...cells.map(line)].join('\n')}\n`;
}

const BARS = '▁▂▃▄▅▆▇█';

/** A series as a line of bars from its least to its greatest value; a gap where there is none. */
export function sparkline(values: readonly (number | null | undefined)[]): string {
  const known = values.filter((value) => typeof value === 'number');
  const least = Math.min(...known);
  const span = Math.max(...known) - least;
  return values
    .map((value) =>
      typeof value === 'number' ? BARS[span === 0 ? 0 : Math.round(((value - least) / span) * (BARS.length - 1))] : ' ',
    )
    .join('');
}
