/** `mcp-metrics keys`: make API keys and look at them, beside a running gateway or without one. */
import { Command, Option } from 'commander';
import type { KeyStore, Scope } from '../core/key-store.ts';
import { findConfig, loadConfig } from '../config.ts';
import { openKeyStore } from '../sinks/sqlite/key-store.ts';
import { createLog } from '../telemetry/log.ts';
import { systemClock } from '../telemetry/system-clock.ts';

/** A running gateway sees what is changed here within a second: both work on the same database file. */
async function withKeys<Result>(config: string | undefined, use: (keys: KeyStore) => Promise<Result>): Promise<Result> {
  const pipeline = await loadConfig(findConfig(config));
  const keys = await openKeyStore({
    path: pipeline.databasePath ?? './data/metrics.db',
    log: createLog({ level: 'warn' }),
    clock: systemClock,
  });
  try {
    return await use(keys);
  } finally {
    await keys.close();
  }
}

export function keysCommand(): Command {
  const keys = new Command('keys').description('Create and list API keys.');
  const config = (): Option => new Option('-c, --config <file>', 'the pipeline; default as for start');

  keys
    .command('create')
    .description('Make a key. It is shown once; only its SHA-256 is stored.')
    .requiredOption('--service <name>', 'whose key it is')
    .addOption(
      new Option('--scope <scope...>', 'what it may do').choices(['ingest', 'read', 'admin']).default(['ingest']),
    )
    .option('--description <text>', 'what it is for', '')
    .addOption(config())
    .action(async (options: { service: string; scope: Scope[]; description: string; config?: string }) => {
      const { record, secret } = await withKeys(options.config, (store) =>
        store.create({ service: options.service, scopes: options.scope, description: options.description }),
      );
      process.stderr.write(
        `key ${record.id} of ${record.service}, scopes ${record.scopes.join(', ')}; shown this once:\n`,
      );
      process.stdout.write(`${secret}\n`);
    });

  keys
    .command('list')
    .description('Show all keys, never their secrets.')
    .addOption(config())
    .action(async (options: { config?: string }) => {
      for (const key of await withKeys(options.config, (store) => store.list())) {
        const state = key.revokedAt === undefined ? 'active' : 'revoked';
        process.stdout.write(
          `${key.id}  ${key.service}  ${key.scopes.join(',')}  ${key.origin}  ${state}  ${key.usageCount} uses\n`,
        );
      }
    });
  return keys;
}
