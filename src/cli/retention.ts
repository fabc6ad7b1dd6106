/** `mcp-metrics retention`: how long tables keep their rows, and the clean-up. */
import { Command } from 'commander';
import { type ConnectionOptions, withConnection, withConnectionOptions } from './connection.ts';
import { type Cell, table } from './table.ts';

type ByTable = Readonly<Record<string, Readonly<Record<string, Cell>>>>;

const rowsOf = (answer: ByTable): Record<string, Cell>[] =>
  Object.entries(answer).map(([name, fields]) => ({
    table: name,
    ...Object.fromEntries(Object.entries(fields).filter(([key]) => key !== 'table_name' && key !== 'table')),
  }));

export function retentionCommand(): Command {
  const retention = new Command('retention').description('How long tables keep their rows, and the clean-up.');
  const sub = (name: string, description: string): Command =>
    withConnectionOptions(retention.command(name)).description(description).option('--json', 'as JSON');
  const print = (answer: unknown, json: boolean | undefined): void =>
    void process.stdout.write(
      json === true ? `${JSON.stringify(answer, null, 2)}\n` : table(rowsOf(answer as ByTable)),
    );
  type Options = ConnectionOptions & { json?: boolean };

  sub('policies', 'Show how long each table keeps its rows.').action(async ({ json, ...where }: Options) => {
    await withConnection(where, async (connection) =>
      print(await connection.call('GET', '/admin/retention/policies'), json),
    );
  });

  sub('set', 'Change how long a table keeps its rows.')
    .argument('<table>', 'metrics, auth_metrics, … metrics_hourly, metrics_daily')
    .option('--days <n>', '1 to 3650', Number)
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
    .action(async (name: string | undefined, { json, dryRun = false, ...where }: Options & { dryRun?: boolean }) => {
      await withConnection(where, async (connection) => {
        const query = { table_name: name, dry_run: dryRun };
        const answer = (await connection.call('POST', '/admin/retention/cleanup', { query })) as { tables?: ByTable };
        if (json === true || answer.tables !== undefined) print(json === true ? answer : answer.tables, json);
        else process.stdout.write(table([answer as unknown as Record<string, Cell>]));
      });
    });
  return retention;
}
