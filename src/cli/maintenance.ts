/** `backfill`, `backup`, `import`, `set-aside`: what is done to the data directory on this machine. */
import { existsSync } from 'node:fs';
import { resolve } from 'node:path';
import type { Command } from 'commander';
import type { SetAsideEvent } from '../core/set-aside.ts';
import { type AskOptions, confirmed } from './ask.ts';
import { CommandFailed, connect, type Connection, type ConnectionOptions, withConnection } from './connection.ts';
import { EXIT } from './exit-codes.ts';
import { withProgress } from './progress.ts';
import { type Cell, table } from './table.ts';

type Where = Pick<ConnectionOptions, 'config'> & AskOptions;

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
const longWork = (where: Where, path: string, label: string, file?: string, question?: string): Promise<void> =>
  withConnection(where, async (connection) => {
    if (question !== undefined) await confirmed(where, () => `${question} ${connection.target}?`);
    const options = file === undefined ? {} : { body: { path: resolve(file) } };
    print((await withProgress(connection, path, label, options)) as object);
  });

export function maintenanceCommands(program: Command): void {
  withConfig(program.command('backfill'))
    .description(
      'Rebuild the rollups from the raw rows, as far back as these are all there; the numbers come out the same.',
    )
    .action(async (where: Where) => longWork(where, '/admin/backfill', 'backfill'));

  withConfig(program.command('backup'))
    .description('Copy the database to a new file, consistent, while the gateway runs.')
    .argument('<file>', 'a new file')
    .action(async (file: string, where: Where) => longWork(where, '/admin/backup', 'backup', file));

  withConfig(program.command('import'))
    .description(
      'Import the database of the metrics service that this gateway replaces. May be repeated: nothing comes twice.',
    )
    .argument('<file>', 'its SQLite file; it is only read')
    .option('-y, --yes', 'import without asking')
    .action(async (file: string, where: Where) => {
      if (!existsSync(file)) throw new CommandFailed(`${resolve(file)}: no such file`, EXIT.notFound);
      await longWork(where, '/admin/import', 'import', file, `Import ${file} into`);
    });

  setAsideCommands(program.command('set-aside').description('Events that a sink could never take.'));
}

function setAsideCommands(setAside: Command): void {
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
    .option('-y, --yes', 'do it without asking')
    .action(async (sink: string, where: Where) => {
      const connection = await connect(where);
      await confirmed(where, async () => {
        const sizes = await sizesOf(connection);
        return `Hand what was set aside for ${sink} (${sizes[sink] ?? 0} events) to it once more?`;
      });
      print((await connection.call('POST', `/admin/set-aside/${encodeURIComponent(sink)}/redrive`)) as object);
    });
}

const sizesOf = async (connection: Connection): Promise<Readonly<Record<string, number>>> =>
  ((await connection.call('GET', '/admin/set-aside')) as { sinks: Record<string, number> }).sinks;

async function sizes(connection: Connection): Promise<string> {
  return table(
    Object.entries(await sizesOf(connection)).map(([sink, events]): Record<string, Cell> => ({ sink, events })),
  );
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
