/** `backfill`, `backup`, `import`, `set-aside`: what is done to the data directory on this machine. */
import { resolve } from 'node:path';
import { Command } from 'commander';
import type { SetAsideEvent } from '../core/set-aside.ts';
import { connect, type Connection, type ConnectionOptions, withConnection } from './connection.ts';
import { withProgress } from './progress.ts';
import { type Cell, table } from './table.ts';

type Where = Pick<ConnectionOptions, 'config'>;

const withConfig = (command: Command): Command =>
  command.option('-c, --config <file>', 'the pipeline; default as for start');

const print = (fields: object): void =>
  void process.stdout.write(
    `${Object.entries(fields)
      .filter(([, value]) => !Array.isArray(value) || value.length > 0)
      .map(([name, value]) => `${name}: ${typeof value === 'object' ? JSON.stringify(value) : String(value)}`)
      .join('\n')}\n`,
  );

/** Work with a bar, in the running gateway or here. */
const longWork = (where: Where, path: string, label: string, file?: string): Promise<void> =>
  withConnection(where, async (connection) => {
    const body = file === undefined ? undefined : { path: resolve(file) };
    print((await withProgress(connection, path, label, body)) as object);
  });

export const maintenanceCommands = (): readonly Command[] => [
  withConfig(new Command('backfill'))
    .description(
      'Rebuild the rollups from the raw rows, as far back as these are all there; the numbers come out the same.',
    )
    .action(async (where: Where) => longWork(where, '/admin/backfill', 'backfill')),

  withConfig(new Command('backup'))
    .description('Copy the database to a new file, consistent, while the gateway runs.')
    .argument('<file>', 'a new file')
    .action(async (file: string, where: Where) => longWork(where, '/admin/backup', 'backup', file)),

  withConfig(new Command('import'))
    .description(
      'Import the database of the metrics service that this gateway replaces. May be repeated: nothing comes twice.',
    )
    .argument('<file>', 'its SQLite file; it is only read')
    .action(async (file: string, where: Where) => longWork(where, '/admin/import', 'import', file)),

  setAsideCommand(),
];

function setAsideCommand(): Command {
  const setAside = new Command('set-aside').description('Events that a sink could never take.');
  withConfig(setAside.command('list'))
    .description('How many there are, or those of one sink.')
    .argument('[sink]')
    .action(async (sink: string | undefined, where: Where) => {
      const connection = await connect(where);
      process.stdout.write(sink === undefined ? await sizes(connection) : await eventsOf(connection, sink));
    });
  withConfig(setAside.command('redrive'))
    .description('Hand them to their sink once more.')
    .argument('<sink>')
    .action(async (sink: string, where: Where) => {
      print(
        (await (await connect(where)).call('POST', `/admin/set-aside/${encodeURIComponent(sink)}/redrive`)) as object,
      );
    });
  return setAside;
}

async function sizes(connection: Connection): Promise<string> {
  const { sinks } = (await connection.call('GET', '/admin/set-aside')) as { sinks: Record<string, number> };
  return table(Object.entries(sinks).map(([sink, events]): Record<string, Cell> => ({ sink, events })));
}

async function eventsOf(connection: Connection, sink: string): Promise<string> {
  const { events } = (await connection.call('GET', `/admin/set-aside/${encodeURIComponent(sink)}`)) as {
    events: SetAsideEvent[];
  };
  return table(
    events.map(({ id, at, reason, event }): Record<string, Cell> => ({
      at: new Date(at).toISOString(),
      type: event?.type,
      service: event?.service,
      reason,
      id,
    })),
  );
}
