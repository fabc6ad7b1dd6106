/** What runbooks.md, troubleshooting.md and deployment.md tell operators to type, typed at a gateway with data. */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import Database from 'better-sqlite3';
import t from 'tap';
import { demoTraffic } from '../../src/cli/demo-traffic.ts';
import { startChild } from '../support/child.ts';
import { startGateway, type RunningGateway } from '../support/gateway.ts';
import { plainNode } from '../support/plain-node.ts';
import { ROOT } from '../support/root.ts';

const page = (name: string): string => readFileSync(join(ROOT, 'docs', `${name}.md`), 'utf8');
const [node, args] = plainNode('--conditions=mcp-metrics-source', join(ROOT, 'src/cli/main.ts'));
const CLI = [node, ...args].map((part) => `'${part}'`).join(' ');

async function shell(
  script: string,
  cwd: string,
  gateway: RunningGateway,
): Promise<{ code: number | null; output: string }> {
  const typed = script.replaceAll(/^mcp-metrics /gm, `${CLI} `);
  const env = { SQLITE_DB_PATH: gateway.databasePath };
  const child = await startChild('bash', ['-euc', typed], { cwd, env });
  return { code: (await child.exited).code, output: child.output() };
}

/** A path short enough for the control socket, which a Unix socket limits to about 100 characters. */
function shortFolder(t: { readonly teardown: (end: () => void) => void }): string {
  const folder = mkdtempSync(join(tmpdir(), 'mcp-'));
  t.teardown(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

async function send(gateway: RunningGateway, rounds: number): Promise<number> {
  const next = demoTraffic();
  const metrics = Array.from({ length: rounds }, () => next(Date.now())).flat();
  const answer = await gateway.post({ service: 'demo', metrics });
  if (answer.status !== 200) throw new Error(await answer.text());
  await gateway.flush();
  return metrics.length;
}

t.test('the commands of the runbooks work', async (t) => {
  const folder = shortFolder(t);
  const gateway = await startGateway({ dataDirectory: join(folder, 'data') });
  t.teardown(() => gateway.stop('SIGKILL'));
  await send(gateway, 40);
  const listed = await shell('mcp-metrics keys list', folder, gateway);
  const id = /\b(key_\w+|[0-9a-f-]{8,})\b/.exec(listed.output)?.[1] ?? '';
  t.ok(id !== '', listed.output);
  const commands = new Set(
    [...`${page('runbooks')}${page('troubleshooting')}`.matchAll(/`(mcp-metrics [^`]+)`/g)].map(
      ([, command = '']) => command,
    ),
  );
  // `tail` runs until it is interrupted; `…` stands for a choice.
  const run = [...commands].filter((command) => !/tail$|…/.test(command));
  t.ok(run.length >= 10, `${run.length} commands`);
  for (const command of run) {
    const { code, output } = await shell(command.replace('<id>', id), folder, gateway);
    t.equal(code, 0, `${command}\n${output}`);
  }
});

t.test('backup while it runs, restore while it does not', async (t) => {
  const blocks = new Map(
    [...page('deployment').matchAll(/<!-- runs: (\S+) -->\s*^```sh\n([\s\S]*?)^```$/gm)].map(
      ([, name = '', block = '']) => [name, block],
    ),
  );
  t.strictSame([...blocks.keys()], ['backup', 'restore']);
  const folder = shortFolder(t);
  const dataDirectory = join(folder, 'data');
  const first = await startGateway({ dataDirectory });
  t.teardown(() => first.stop('SIGKILL'));
  const saved = await send(first, 40);
  t.match(await shell(blocks.get('backup') ?? '', folder, first), { code: 0, output: 'metrics-backup.db' });
  const later = await send(first, 40);
  await first.stop();
  t.match(await shell(blocks.get('restore') ?? '', folder, first), { code: 0 });

  const second = await startGateway({ dataDirectory, key: first.key });
  t.teardown(() => second.stop('SIGKILL'));
  await second.flush();
  const database = new Database(second.databasePath, { readonly: true });
  t.teardown(() => database.close());
  t.equal(
    database.prepare('SELECT count(*) FROM metrics').pluck().get(),
    saved + later,
    'the backup, and from the journal what came after it',
  );
});
