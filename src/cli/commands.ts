/** The commands beside `start` and `validate`. Each is a thin layer over what the gateway itself uses. */
import type { Command } from 'commander';
import { withConnectionOptions } from './connection.ts';
import { demoCommand } from './demo.ts';
import { doctorCommand } from './doctor.ts';
import { healthCommand } from './health.ts';
import { journalCommand } from './journal.ts';
import { keysCommand } from './keys.ts';
import { maintenanceCommands } from './maintenance.ts';
import { migrateCommand } from './migrate.ts';
import { queryCommand } from './query.ts';
import { retentionCommand } from './retention.ts';
import { tailCommand } from './tail.ts';

export function addCommands(program: Command): void {
  keysCommand(program.command('keys'));
  retentionCommand(program.command('retention'));
  queryCommand(withConnectionOptions(program.command('query')));
  migrateCommand(program.command('migrate'));
  journalCommand(program.command('journal'));
  maintenanceCommands(program);
  healthCommand(withConnectionOptions(program.command('health')));
  tailCommand(withConnectionOptions(program.command('tail')));
  demoCommand(withConnectionOptions(program.command('demo')));
  doctorCommand(withConnectionOptions(program.command('doctor')));
}
