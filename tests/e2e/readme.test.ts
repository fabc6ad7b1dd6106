/** The README's commands, followed to the letter on a terminal: start, first metric, see it. */
import { readFileSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { startChild } from '../support/child.ts';
import { freePort } from '../support/free-port.ts';
import { ROOT } from '../support/root.ts';
import { programPath, skipWithout } from '../support/tools.ts';
import { waitFor } from '../support/wait-for.ts';
import { folderOf } from '../support/folder.ts';

const readme = readFileSync(join(ROOT, 'README.md'), 'utf8');
const blocks = new Map(
  [...readme.matchAll(/<!-- runs: (\S+) -->\s*^```sh\n([\s\S]*?)^```$/gm)].map(([, name = '', block = '']) => [
    name,
    block,
  ]),
);

/** What a checkout has, but for the data that a gateway makes in it. */
const CHECKOUT = ['package.json', 'node_modules', 'src', 'drizzle', 'pipeline.config.ts', 'tsconfig.json'];

const skip =
  skipWithout(programPath('script'), 'script, of Debian’s package bsdutils, plays the terminal') ||
  skipWithout(programPath('sqlite3'), 'Debian’s package sqlite3') ||
  skipWithout(programPath('curl'), 'Debian’s package curl');

t.test('every block that is marked as run is run here', (t) => {
  t.strictSame([...blocks.keys()], ['start', 'first-metric', 'see-it', 'sql']);
  t.end();
});

t.test('a stranger follows the README', { skip }, async (t) => {
  const folder = folderOf(t);
  for (const name of CHECKOUT) symlinkSync(join(ROOT, name), join(folder, name));
  const [port, scrapePort] = [await freePort(), await freePort()];
  const env = { ...process.env, METRICS_SERVICE_PORT: String(port), OTEL_PROMETHEUS_PORT: String(scrapePort) };
  /** As it stands there, on ports that are free here; this checkout is installed already. */
  const command = (name: string, key = ''): string =>
    (blocks.get(name) ?? '')
      .replaceAll('npm ci && ', '')
      .replaceAll('localhost:8890', `localhost:${port}`)
      .replaceAll('localhost:9465', `localhost:${scrapePort}`)
      .replaceAll('mcp_metrics_…', key);
  const shell = async (script: string): Promise<string> => {
    const child = await startChild('bash', ['-euc', script], { cwd: folder, env });
    await child.exited;
    return child.output();
  };

  const gateway = await startChild('script', ['-qfec', command('start'), '/dev/null'], { cwd: folder, env });
  t.teardown(() => gateway.stop('SIGKILL'));
  const shown = await waitFor(
    'keys and a curl to paste',
    () => {
      const text = gateway.output().replaceAll('\r', '');
      return text.includes('grep mcp_tool') && text;
    },
    { deadlineMs: 90_000 },
  );

  const key = /ingest key +(mcp_metrics_\S+)/.exec(shown)?.[1] ?? '';
  t.match(shown, /admin key +mcp_metrics_\S+/, 'an admin key is shown too');
  t.match(shown, new RegExp(`localhost:${port}|127\\.0\\.0\\.1:${port}`), 'and where it listens');

  const pasted = /^ +(curl -X POST [\s\S]*?'\{.*\}')$/m.exec(shown)?.[1] ?? '';
  t.match(
    JSON.parse((await shell(pasted.replace('curl', 'curl -s'))) || '{}'),
    { status: 'success', accepted: 1 },
    'the curl that it shows works as pasted',
  );

  t.match(await shell(command('first-metric', key)), /"status":"success".*"accepted":1/s, 'first metric');
  await waitFor('the metric on the page', async () =>
    (await (await fetch(`http://localhost:${scrapePort}/metrics`)).text()).includes('tool_name="search"'),
  );
  const seen = await shell(`export KEY=${key}\n${command('see-it')}`);
  t.match(seen, /^mcp_tool_executions_total\{.*tool_name="search".*\} 2$/m, 'both metrics on the Prometheus page');
  t.match(seen, /^search +2 /m, 'the tool in the answer to a question');
  const asked = await shell(command('sql'));
  t.match(asked, /^time\|service\|tool_name\|success\|duration_ms$/m, 'a table');
  t.match(asked, /^2\S+\|my-service\|search\|1\|42/m, 'with the metric in SQLite');
});
