/** `mcp-metrics` and its commands. */
import { Command, Option } from 'commander';
import { createLog, LOG_LEVELS, type LogLevel } from '../telemetry/log.ts';
import { version } from '../version.ts';
import { findConfig, loadConfig } from '../config.ts';

/** Commands are made by it, so that all of them end, and tell of wrong use, in its way. */
export const program = new Command('mcp-metrics')
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
  .addOption(new Option('--log-level <level>', 'least severe lines to log').choices(LOG_LEVELS).default('info'))
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

// A gateway starts without them, and so the sooner.
if (process.argv[2] !== 'start') {
  const { addCommands } = await import('./commands.ts');
  addCommands(program);
}
