/** `mcp-metrics keys`: make, list, change, rotate and revoke API keys. */
import { Command, InvalidArgumentError, Option } from 'commander';
import type { Json } from '../core/metric.ts';
import { type Connection, type ConnectionOptions, withConnection, withConnectionOptions } from './connection.ts';
import { type Cell, table } from './table.ts';

interface Key {
  readonly id: string;
  readonly service: string;
  readonly scopes: readonly string[];
  readonly state: string;
  readonly [field: string]: unknown;
}

interface Settings {
  readonly scope?: string[];
  readonly description?: string;
  readonly rateLimit?: number | null;
  readonly expires?: string;
}

const perMinute = (text: string): number | null => {
  if (text === 'default') return null;
  const limit = Number(text);
  if (!(Number.isInteger(limit) && limit > 0))
    throw new InvalidArgumentError('expected requests a minute, or "default"');
  return limit;
};

const AGES: Readonly<Record<string, number>> = { h: 3_600_000, d: 86_400_000 };

/** `90d`, `12h`, or a date. */
const moment = (text: string): string => {
  const age = /^(\d+)([hd])$/.exec(text);
  const at = age === null ? Date.parse(text) : Date.now() + Number(age[1]) * AGES[age[2]!]!;
  if (!Number.isFinite(at))
    throw new InvalidArgumentError('expected a time from now such as 90d or 12h, or a date such as 2027-01-31');
  return new Date(at).toISOString();
};

const withSettings = (command: Command): Command =>
  command
    .addOption(new Option('--scope <scope...>', 'what it may do').choices(['ingest', 'read', 'admin']))
    .option('--description <text>', 'what it is for')
    .option('--rate-limit <n>', 'requests a minute, or "default"', perMinute)
    .option('--expires <when>', 'from when on it stops: 90d, 12h, or a date', moment);

const bodyOf = ({ scope, description, rateLimit, expires }: Settings): Record<string, Json> => ({
  ...(scope === undefined ? undefined : { scopes: scope }),
  ...(description === undefined ? undefined : { description }),
  ...(rateLimit === undefined ? undefined : { requests_per_minute: rateLimit }),
  ...(expires === undefined ? undefined : { expires_at: expires }),
});

/** The secret alone on standard output, so that a script can take it; everything else beside it. */
function showSecret({ key, secret }: { key: Key; secret: string }): void {
  process.stderr.write(
    `key ${key.id} of ${key.service}, scopes ${key.scopes.join(', ')}; the secret is shown this once:\n`,
  );
  process.stdout.write(`${secret}\n`);
}

export function keysCommand(): Command {
  const keys = new Command('keys').description('Make, list, change, rotate and revoke API keys.');
  const sub = (name: string, description: string): Command =>
    withConnectionOptions(keys.command(name)).description(description);

  withSettings(sub('create', 'Make a key. It is shown once; only its SHA-256 is stored.'))
    .requiredOption('--service <name>', 'whose key it is')
    .action(async ({ service, ...options }: Settings & ConnectionOptions & { service: string }) => {
      await withConnection(options, async (connection) => {
        showSecret(
          (await connection.call('POST', '/admin/keys', { body: { service, ...bodyOf(options) } })) as {
            key: Key;
            secret: string;
          },
        );
      });
    });

  sub('list', 'Show all keys, never their secrets.')
    .option('--json', 'as JSON')
    .action(async ({ json, ...options }: ConnectionOptions & { json?: boolean }) => {
      await withConnection(options, async (connection) => {
        const answer = (await connection.call('GET', '/admin/keys')) as { keys: Key[] };
        process.stdout.write(
          json === true ? `${JSON.stringify(answer.keys, null, 2)}\n` : table(answer.keys.map(rowOf)),
        );
      });
    });

  withSettings(sub('update', 'Change what a key may do.'))
    .argument('<id>', 'its public id, key_…')
    .action(async (id: string, options: Settings & ConnectionOptions) => {
      await withConnection(options, async (connection) => {
        show((await connection.call('PATCH', pathOf(id), { body: bodyOf(options) })) as Key);
      });
    });

  sub('rotate', 'Make a new secret; the old one works for the overlap.')
    .argument('<id>', 'its public id, key_…')
    .option('--overlap <seconds>', 'how long the old one still works', Number)
    .action(async (id: string, { overlap, ...options }: ConnectionOptions & { overlap?: number }) => {
      await withConnection(options, async (connection) => {
        const body = overlap === undefined ? {} : { overlap_seconds: overlap };
        showSecret((await connection.call('POST', `${pathOf(id)}/rotate`, { body })) as { key: Key; secret: string });
      });
    });

  sub('revoke', 'End a key, within a second.')
    .argument('<id>', 'its public id, key_…')
    .action(async (id: string, options: ConnectionOptions) => {
      await withConnection(options, async (connection: Connection) => {
        show((await connection.call('DELETE', pathOf(id))) as Key);
      });
    });
  return keys;
}

const pathOf = (id: string): string => `/admin/keys/${encodeURIComponent(id)}`;

const show = (key: Key): void => void process.stdout.write(table([rowOf(key)]));

const rowOf = (key: Key): Record<string, Cell> => ({
  id: key.id,
  service: key.service,
  scopes: key.scopes.join(','),
  state: key.state,
  'per minute': (key['requests_per_minute'] as number | null) ?? 'default',
  origin: key['origin'] as string,
  expires: (key['expires_at'] as string | null) ?? 'never',
  'last used': (key['last_used_at'] as string | null) ?? 'never',
  uses: key['usage_count'] as number,
  description: key['description'] as string,
});
