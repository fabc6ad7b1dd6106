/** `mcp-metrics keys`: make, list, change, rotate and revoke API keys. */
import { type Command, Option } from 'commander';
import type { Json } from '../core/metric.ts';
import { expiry, perMinute, wholeNumber } from './arguments.ts';
import { askChoices, type AskOptions, askText, confirmed, isAttended } from './ask.ts';
import {
  CommandFailed,
  type Connection,
  type ConnectionOptions,
  withConnection,
  withConnectionOptions,
} from './connection.ts';
import { EXIT } from './exit-codes.ts';
import { type Cell, table } from './table.ts';

interface Key {
  readonly id: string;
  readonly service: string;
  readonly scopes: readonly string[];
  readonly state: string;
  readonly last_used_at: string | null;
  readonly [field: string]: unknown;
}
interface KeyWithSecret {
  readonly key: Key;
  readonly secret: string;
}

interface Settings {
  readonly scope?: readonly string[];
  readonly description?: string;
  readonly rateLimit?: number | 'default';
  readonly expires?: string;
}
type Options = ConnectionOptions & AskOptions;

const SCOPES = {
  ingest: 'send metrics',
  read: 'ask the history',
  admin: 'operate the gateway, keys included',
} as const;
const SERVICE = { pattern: /^[A-Za-z0-9_-]{1,100}$/, expected: '1 to 100 letters, digits, _ or -' };
const MAX_OVERLAP_SECONDS = 2_592_000;

const withSettings = (command: Command): Command =>
  command
    .addOption(new Option('--scope <scope...>', 'what it may do').choices(Object.keys(SCOPES)))
    .option('--description <text>', 'what it is for')
    .option('--rate-limit <n>', 'requests a minute, or "default"', perMinute)
    .option('--expires <when>', 'from when on it stops: 90d, 12h, a date, or "never"', expiry);

const bodyOf = ({ scope, description, rateLimit, expires }: Settings): Record<string, Json> => ({
  ...(scope === undefined ? undefined : { scopes: [...scope] }),
  ...(description === undefined ? undefined : { description }),
  ...(rateLimit === undefined ? undefined : { requests_per_minute: rateLimit === 'default' ? null : rateLimit }),
  ...(expires === undefined ? undefined : { expires_at: expires === 'never' ? null : expires }),
});

export function keysCommand(keys: Command): Command {
  keys.description('Make, list, change, rotate and revoke API keys.');
  const sub = (name: string, description: string): Command =>
    withConnectionOptions(keys.command(name)).description(description).option('--json', 'as JSON');
  const withYes = (command: Command): Command => command.option('-y, --yes', 'do it without asking');
  const withId = (command: Command): Command => command.argument('<id>', 'its public id, key_…');

  withSettings(sub('create', 'Make a key. It is shown once; only its SHA-256 is stored.'))
    .option('--service <name>', 'whose key it is; asked for on a terminal')
    .action(async ({ service, ...options }: Settings & Options & { service?: string }) => {
      const asked = service === undefined ? await askNewKey(options) : { service };
      await withConnection(options, async (connection) => {
        const body = { ...asked, ...bodyOf(options) };
        showSecret((await connection.call('POST', '/admin/keys', { body })) as KeyWithSecret, options);
      });
    });

  sub('list', 'Show all keys, never their secrets.').action(async (options: Options) => {
    await withConnection(options, async (connection) => {
      const { keys: all } = (await connection.call('GET', '/admin/keys')) as { keys: Key[] };
      process.stdout.write(options.json === true ? json(all) : table(all.map(rowOf)));
    });
  });

  withId(withSettings(sub('update', 'Change what a key may do.'))).action(
    async (id: string, options: Settings & Options) => {
      const body = bodyOf(options);
      if (Object.keys(body).length === 0)
        throw new CommandFailed(
          'nothing to change; give --scope, --description, --rate-limit or --expires',
          EXIT.usage,
        );
      await withConnection(options, async (connection) => {
        show((await connection.call('PATCH', pathOf(id), { body })) as Key, options);
      });
    },
  );

  withYes(withId(sub('rotate', 'Make a new secret; the old one works for the overlap.')))
    .option(
      '--overlap <seconds>',
      'how long the old one still works (default: 86400)',
      wholeNumber(0, MAX_OVERLAP_SECONDS, 'seconds'),
    )
    .action(async (id: string, { overlap, ...options }: Options & { overlap?: number }) => {
      await withConnection(options, async (connection) => {
        if (overlap === 0) await confirmEnd(connection, id, options, 'Replace');
        const body = overlap === undefined ? {} : { overlap_seconds: overlap };
        showSecret((await connection.call('POST', `${pathOf(id)}/rotate`, { body })) as KeyWithSecret, options);
      });
    });

  withYes(withId(sub('revoke', 'End a key, within a second.'))).action(async (id: string, options: Options) => {
    await withConnection(options, async (connection) => {
      await confirmEnd(connection, id, options, 'Revoke');
      show((await connection.call('DELETE', pathOf(id))) as Key, options);
    });
  });
  return keys;
}

/** What was not given with the command. @throws CommandFailed where nobody can be asked */
async function askNewKey({ scope, ...options }: Settings & AskOptions) {
  if (!isAttended(options)) throw new CommandFailed('--service <name> is missing: whose key is it?', EXIT.usage);
  const service = await askText('Whose key is it? The name of a service', SERVICE);
  const scopes = scope ?? (await askChoices('What may it do?', SCOPES, ['ingest']));
  return { service, scopes: [...scopes] };
}

/** Whoever still uses it finds out by a 401, so the person is told who that may be. */
const confirmEnd = (connection: Connection, id: string, options: AskOptions, what: string): Promise<void> =>
  confirmed(options, async () => {
    const { service, scopes, last_used_at: used } = (await connection.call('GET', pathOf(id))) as Key;
    const use = used === null ? 'never used' : `last used ${used}`;
    return `${what} ${id} of ${service} (${scopes.join(', ')}; ${use})? It stops working within a second.`;
  });

const pathOf = (id: string): string => `/admin/keys/${encodeURIComponent(id)}`;

const json = (value: unknown): string => `${JSON.stringify(value, null, 2)}\n`;

const show = (key: Key, options: AskOptions): void =>
  void process.stdout.write(options.json === true ? json(key) : table([rowOf(key)]));

/** The secret alone on standard output, so that a script can take it; everything else beside it. */
function showSecret(made: KeyWithSecret, options: AskOptions): void {
  if (options.json === true) return void process.stdout.write(json(made));
  const { key, secret } = made;
  process.stderr.write(
    `key ${key.id} of ${key.service}, scopes ${key.scopes.join(', ')}; the secret is shown this once:\n`,
  );
  process.stdout.write(`${secret}\n`);
}

const rowOf = (key: Key): Record<string, Cell> => ({
  id: key.id,
  service: key.service,
  scopes: key.scopes.join(','),
  state: key.state,
  'per minute': (key['requests_per_minute'] as number | null) ?? 'default',
  origin: key['origin'] as string,
  expires: (key['expires_at'] as string | null) ?? 'never',
  'last used': key.last_used_at ?? 'never',
  uses: key['usage_count'] as number,
  description: key['description'] as string,
});
