/** `mcp-metrics migrate`: the schema of the database file, which a start brings up to date by itself. */
import type { Command } from 'commander';
import { migrateDatabase } from '../sinks/sqlite/database.ts';
import { diagnoseDatabase } from '../sinks/sqlite/diagnose.ts';
import { CommandFailed, dataLocation } from './connection.ts';
import { EXIT } from './exit-codes.ts';

interface MigrateOptions {
  readonly config?: string;
}

const withConfig = (command: Command): Command =>
  command.option('-c, --config <file>', 'the pipeline; default as for start');

export function migrateCommand(migrate: Command): Command {
  migrate.description('Show or apply the migrations of the database. A start applies them too.');

  withConfig(migrate.command('status'))
    .description('Tell whether the database is up to date.')
    .action(async ({ config }: MigrateOptions) => {
      const { databasePath } = await dataLocation(config);
      const { exists, ours, pendingMigrations, faults, unread } = diagnoseDatabase(databasePath, Date.now());
      if (unread !== undefined) throw new CommandFailed(`${databasePath}: ${unread.message}`);
      if (faults.length > 0) throw new CommandFailed(`${databasePath}: ${faults.join('; ')}`);
      if (!ours)
        throw new CommandFailed(
          `${databasePath} is not a database of this gateway; mcp-metrics doctor says what to do`,
          EXIT.config,
        );
      if (pendingMigrations < 0)
        throw new CommandFailed(`${databasePath} is of a newer version of this gateway`, EXIT.config);
      const state = !exists
        ? 'does not exist yet'
        : pendingMigrations === 0
          ? 'is up to date'
          : `lacks ${pendingMigrations} migrations`;
      process.stdout.write(`${databasePath} ${state}\n`);
    });

  withConfig(migrate.command('up'))
    .description('Make the database where it is missing, and bring it up to date.')
    .action(async ({ config }: MigrateOptions) => {
      const { databasePath } = await dataLocation(config);
      const applied = migrateDatabase(databasePath);
      process.stdout.write(
        `${databasePath}: ${applied.length === 0 ? 'nothing to do' : `applied ${applied.join(', ')}`}\n`,
      );
    });
  return migrate;
}
