/** `mcp-metrics retention`: how long tables keep their rows, and the clean-up. */
import type { Command } from 'commander';
import { wholeNumber } from './arguments.ts';
import { type AskOptions, confirmed } from './ask.ts';
import { type Connection, type ConnectionOptions, withConnection, withConnectionOptions } from './connection.ts';
import { withProgress } from './progress.ts';
import { type Cell, table } from './table.ts';

type ByTable = Readonly<Record<string, Readonly<Record<string, Cell>>>>;

const rowsOf = (answer: ByTable): Record<string, Cell>[] =>
  Object.entries(answer).map(([name, fields]) => ({
    table: name,
    ...Object.fromEntries(Object.entries(fields).filter(([key]) => key !== 'table_name' && key !== 'table')),
  }));

export function retentionCommand(retention: Command): Command {
  retention.description('How long tables keep their rows, and the clean-up.');
  const sub = (name: string, description: string): Command =>
    withConnectionOptions(retention.command(name)).description(description).option('--json', 'as JSON');
  const print = (answer: unknown, json: boolean | undefined): void =>
    void process.stdout.write(
      json === true ? `${JSON.stringify(answer, null, 2)}\n` : table(rowsOf(answer as ByTable)),
    );
  type Options = ConnectionOptions & AskOptions;

  sub('policies', 'Show how long each table keeps its rows.').action(async ({ json, ...where }: Options) => {
    await withConnection(where, async (connection) =>
      print(await connection.call('GET', '/admin/retention/policies'), json),
    );
  });

  sub('set', 'Change how long a table keeps its rows.')
    .argument('<table>', 'metrics, auth_metrics, … metrics_hourly, metrics_daily')
    .option('--days <n>', '1 to 3650', wholeNumber(1, 3650, 'days'))
    .option('--active', 'delete what is older')
    .option('--no-active', 'keep everything')
    .action(async (name: string, { json, days, active, ...where }: Options & { days?: number; active?: boolean }) => {
      await withConnection(where, async (connection) => {
        const body = {
          ...(days === undefined ? undefined : { retention_days: days }),
          ...(active === undefined ? undefined : { is_active: active }),
        };
        const answer = await connection.call('PUT', `/admin/retention/policies/${encodeURIComponent(name)}`, { body });
        process.stdout.write(
          json === true ? `${JSON.stringify(answer, null, 2)}\n` : table([answer as Record<string, Cell>]),
        );
      });
    });

  sub('preview', 'Show what a clean-up would delete now.')
    .argument('[table]')
    .action(async (name: string | undefined, { json, ...where }: Options) => {
      await withConnection(where, async (connection) =>
        print(await connection.call('GET', '/admin/retention/preview', { query: { table_name: name } }), json),
      );
    });

  sub('cleanup', 'Delete now what is past its retention, as the schedule would.')
    .argument('[table]')
    .option('--dry-run', 'count, and delete nothing')
    .option('-y, --yes', 'delete without asking')
    .action(async (name: string | undefined, options: Options & { dryRun?: boolean }) => {
      const { json, dryRun = false, yes: _yes, ...where } = options;
      await withConnection(where, async (connection) => {
        if (!dryRun) await confirmed(options, () => whatGoes(connection, name));
        const query = { table_name: name, dry_run: dryRun };
        const answer = (await withProgress(connection, '/admin/retention/cleanup', 'cleanup', {
          query,
          headers: { Accept: 'application/x-ndjson' },
        })) as { tables?: ByTable };
        if (json === true || answer.tables !== undefined) print(json === true ? answer : answer.tables, json);
        else process.stdout.write(table([answer as unknown as Record<string, Cell>]));
      });
    });
  return retention;
}

async function whatGoes(connection: Connection, name: string | undefined): Promise<string> {
  const query = { table_name: name };
  const preview = (await connection.call('GET', '/admin/retention/preview', { query })) as ByTable;
  const rows = Object.entries(preview).flatMap(([tableName, { records_to_delete: count }]) =>
    typeof count === 'number' && count > 0 ? [`${count.toLocaleString('en-US')} rows of ${tableName}`] : [],
  );
  return rows.length === 0 ? 'Nothing is past its retention. Look all the same?' : `Delete ${rows.join(', ')}?`;
}
