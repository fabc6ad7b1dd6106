/** `mcp-metrics`: the command line. Each command is a thin layer over what the gateway itself uses. */
import { Command, CommanderError } from 'commander';
import { createLog, LOG_LEVELS, type LogLevel } from '../telemetry/log.ts';
import { version } from '../version.ts';
import { ConfigError, findConfig, loadConfig } from '../config.ts';
import { EXIT } from './exit-codes.ts';
import { CommandFailed, withConnectionOptions } from './connection.ts';
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

const program = new Command('mcp-metrics')
  .description('The metrics gateway for MCP services: HTTP in; SQLite, Prometheus and OTLP out.')
  .version(version)
  .exitOverride()
  .showHelpAfterError();

program
  .command('start')
  .description('Run the gateway until SIGTERM or SIGINT.')
  .option(
    '-c, --config <file>',
    'the pipeline; default: pipeline.config.ts here, else the one that ships with the package',
  )
  .option('--log-level <level>', LOG_LEVELS.join(', '), 'info')
  .action(async ({ config, logLevel }: { config?: string; logLevel: LogLevel }) => {
    const { runGateway } = await import('../main.ts');
    const onTerminal = process.stdout.isTTY;
    await runGateway({
      config,
      log: createLog({ level: logLevel }),
      print: onTerminal ? (text) => process.stdout.write(`${text}\n`) : undefined,
    });
  });

program
  .command('validate')
  .description('Check the configuration and the environment without starting; exits 78 where it finds a fault.')
  .option('-c, --config <file>', 'the pipeline; default as for start')
  .action(async ({ config }: { config?: string }) => {
    const path = findConfig(config);
    const pipeline = await loadConfig(path);
    const names = [...pipeline.processors, ...pipeline.sinks.filter((sink) => sink.enabled !== false)].map(
      ({ name }) => name,
    );
    process.stdout.write(`${path} is valid: ${names.join(' → ')}\n`);
  });

program.addCommand(keysCommand());
program.addCommand(retentionCommand());
queryCommand(withConnectionOptions(program.command('query')));
program.addCommand(migrateCommand());
program.addCommand(journalCommand());
for (const command of maintenanceCommands()) program.addCommand(command);
healthCommand(withConnectionOptions(program.command('health')));
tailCommand(withConnectionOptions(program.command('tail')));
demoCommand(withConnectionOptions(program.command('demo')));
doctorCommand(withConnectionOptions(program.command('doctor')));

/** A port or a data directory that another process has, or that this one may not use. */
const UNAVAILABLE: ReadonlySet<string> = new Set(['EADDRINUSE', 'EBUSY', 'EACCES', 'EPERM', 'EROFS']);

try {
  await program.parseAsync();
  // Timers and workers of a stopped gateway must not keep the process.
  process.exit(process.exitCode ?? EXIT.ok);
} catch (error) {
  process.exit(report(error));
}

function report(error: unknown): number {
  if (error instanceof CommanderError) return error.exitCode === 0 ? EXIT.ok : EXIT.usage;
  process.stderr.write(`mcp-metrics: ${error instanceof Error ? error.message : String(error)}\n`);
  if (error instanceof ConfigError) return EXIT.config;
  if (error instanceof CommandFailed) return error.exitCode;
  const { code } = error as NodeJS.ErrnoException;
  return UNAVAILABLE.has(code ?? '') ? EXIT.unavailable : EXIT.failed;
}
