/** `mcp-metrics query`: the named questions, as aligned tables, with a sparkline where a series reads better as a line. */
import { Argument, type Command } from 'commander';
import { PARAMETERS, QUERIES } from '../sinks/sqlite/query-names.ts';
import { type ConnectionOptions, withConnection } from './connection.ts';
import { type Cell, sparkline, table } from './table.ts';

interface Answer {
  readonly from: string;
  readonly to: string;
  readonly rows: readonly Readonly<Record<string, Cell>>[];
  readonly total?: number;
  readonly next?: string;
  readonly summary?: Readonly<Record<string, unknown>>;
}

type Options = ConnectionOptions & Readonly<Record<string, string | boolean | undefined>>;

/** Columns that a time series is drawn by, the first that is there. */
const DRAWN = ['count', 'p95_ms', 'value'] as const;

export function queryCommand(command: Command): Command {
  const names = Object.entries(QUERIES);
  command
    .description('Ask the history a question. Times are ISO 8601, a date, or an age such as 24h, 7d.')
    .addArgument(new Argument('<question>', 'one of those below').choices(names.map(([name]) => name)))
    .option('--json', 'the answer as JSON')
    .addHelpText(
      'after',
      `\nQuestions:\n${names.map(([name, description]) => `  ${name.padEnd(14)} ${description}`).join('\n')}`,
    );
  for (const name of Object.keys(PARAMETERS.entries)) command.option(`--${name.replaceAll('_', '-')} <value>`);
  return command.action(async (question: string, { json, config, url, key, ...parameters }: Options) => {
    const where = {
      ...(config === undefined ? undefined : { config }),
      ...(url === undefined ? undefined : { url }),
      ...(key === undefined ? undefined : { key }),
    };
    const query = Object.fromEntries(
      Object.entries(parameters).map(([name, value]) => [
        name.replaceAll(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`),
        value,
      ]),
    );
    await withConnection(where as ConnectionOptions, async (connection) => {
      const answer = (await connection.call('GET', `/api/v1/query/${question}`, {
        query,
      })) as Answer;
      process.stdout.write(json === true ? `${JSON.stringify(answer, null, 2)}\n` : readable(answer));
    });
  });
}

function readable({ from, to, rows, total, next, summary }: Answer): string {
  const parts = [`${from} to ${to}\n`, table(rows.map(flat))];
  const drawn = DRAWN.find((name) => rows.length > 2 && typeof rows[0]?.[name] === 'number');
  const first = rows[0];
  if (
    drawn !== undefined &&
    first !== undefined &&
    ('at' in first || 'day' in first || 'hour' in first || 'time' in first)
  ) {
    parts.push(`${drawn} ${sparkline(rows.map((row) => row[drawn] as number | null))}\n`);
  }
  for (const [name, value] of Object.entries(summary ?? {})) {
    if (Array.isArray(value)) continue;
    parts.push(
      `${name.replaceAll('_', ' ')}: ${typeof value === 'object' && value !== null ? JSON.stringify(value) : String((value as Cell) ?? '–')}\n`,
    );
  }
  if (total !== undefined && total > rows.length)
    parts.push(`${rows.length} of ${total}; --limit and --offset show more\n`);
  if (next !== undefined) parts.push(`more: --after ${next}\n`);
  return parts.join('\n');
}

/** Objects within a row (dimensions, metadata) as JSON. */
const flat = (row: Readonly<Record<string, unknown>>): Record<string, Cell> =>
  Object.fromEntries(
    Object.entries(row).map(([name, value]) => [
      name,
      typeof value === 'object' && value !== null ? JSON.stringify(value) : (value as Cell),
    ]),
  );
