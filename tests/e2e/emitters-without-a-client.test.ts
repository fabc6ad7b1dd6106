/** The shell, GitHub Actions and fetch examples of docs/instrument-a-service.md, each run as it stands there, against a real gateway. */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import Database from 'better-sqlite3';
import t, { type Test } from 'tap';
import { startChild, type Child } from '../support/child.ts';
import { spawnGateway, startGateway, untilReady, type RunningGateway } from '../support/gateway.ts';
import { plainNode } from '../support/plain-node.ts';
import { ROOT } from '../support/root.ts';
import { programPath, skipWithout } from '../support/tools.ts';

const EXAMPLES = join(ROOT, 'tests/docs/instrument');
const without = (name: string): false | string => skipWithout(programPath(name), name);

const folderOf = (t: Test): string => {
  const folder = mkdtempSync(join(tmpdir(), 'emitter-'));
  t.teardown(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
};

const environment = ({ url, key }: RunningGateway): Record<string, string> => ({
  METRICS_SERVICE_URL: url,
  METRICS_API_KEY: key,
});

async function succeeds(t: Test, child: Child): Promise<void> {
  t.strictSame(await child.exited, { code: 0, signal: null }, child.output());
}

async function rows(t: Test, gateway: RunningGateway): Promise<Record<string, unknown>[]> {
  await gateway.flush();
  const database = new Database(gateway.databasePath, { readonly: true });
  t.teardown(() => database.close());
  return database.prepare('SELECT * FROM metrics ORDER BY id').all() as Record<string, unknown>[];
}

const dimensions = (row: Record<string, unknown> | undefined): unknown => JSON.parse(String(row?.['dimensions']));

const PROGRAMS: readonly [name: string, skip: false | string, command: string, args: string[]][] = [
  ['curl.sh', without('curl'), 'sh', [join(EXAMPLES, 'curl.sh')]],
  ['fetch.mjs', false, ...plainNode(join(EXAMPLES, 'fetch.mjs'))],
];

for (const [name, skip, command, args] of PROGRAMS) {
  t.test(name, { skip }, async (t) => {
    const dataDirectory = folderOf(t);
    // First there is no gateway: the emitter waits for it.
    const gone = await startGateway({ dataDirectory });
    await gone.stop('SIGKILL');
    const emitter = await startChild(command, args, { env: environment(gone) });
    const [port, scrapePort] = [gone.url, gone.scrapeUrl].map((url) => Number(new URL(url).port)) as [number, number];
    const gateway = await spawnGateway({ dataDirectory, key: gone.key, port, scrapePort });
    t.teardown(() => gateway.stop('SIGKILL'));
    await untilReady(gateway);
    await succeeds(t, emitter);
    const found = await rows(t, gateway);
    if (name === 'curl.sh') {
      t.match(found, [{ service: 'backup', metric_type: 'custom' }]);
      t.strictSame(dimensions(found[0]), { metric_name: 'backup_finished' });
    } else {
      t.match(found, [
        { service: 'deploy-script', metric_type: 'health_check', duration_ms: 12.5 },
        { service: 'deploy-script', metric_type: 'custom' },
      ]);
      t.match(emitter.output(), /^2 accepted$/m);
    }
    t.equal(found.length, name === 'curl.sh' ? 1 : 2, 'each once');
  });

  t.test(`${name} with a wrong key fails and says why`, { skip }, async (t) => {
    const gateway = await startGateway({ dataDirectory: folderOf(t) });
    t.teardown(() => gateway.stop('SIGKILL'));
    const emitter = await startChild(command, args, { env: { ...environment(gateway), METRICS_API_KEY: 'wrong' } });
    t.not((await emitter.exited).code, 0);
    t.match(emitter.output(), /key/i);
  });
}

/** The script of the workflow's last step, as the runner would write it to a file. */
function actionsScript(): string {
  const [, script = ''] = readFileSync(join(EXAMPLES, 'github-actions.yml'), 'utf8').split(/^ {8}run: \|\n/m);
  return script.replaceAll(/^ {10}/gm, '');
}

t.test('github-actions.yml', { skip: without('curl') || without('jq') }, async (t) => {
  const gateway = await startGateway({ dataDirectory: folderOf(t) });
  t.teardown(() => gateway.stop('SIGKILL'));
  const runner = {
    ...environment(gateway),
    STATUS: 'failure',
    GITHUB_SHA: '0123456789abcdef0123456789abcdef01234567',
    GITHUB_REPOSITORY: 'example/tools',
    GITHUB_WORKFLOW: 'Nightly',
    GITHUB_JOB: 'evaluate',
    GITHUB_RUN_ID: '4711',
    GITHUB_RUN_ATTEMPT: '1',
  };
  // As the runner calls it: `bash --noprofile --norc -eo pipefail`. Twice: a step that is run again counts once.
  for (let run = 0; run < 2; run += 1) {
    await succeeds(
      t,
      await startChild('bash', ['--noprofile', '--norc', '-eo', 'pipefail', '-c', actionsScript()], { env: runner }),
    );
  }
  const found = await rows(t, gateway);
  t.match(found, [{ service: 'github-actions', service_version: '0123456789ab', metric_type: 'custom' }]);
  t.equal(found.length, 1);
  t.strictSame(dimensions(found[0]), {
    metric_name: 'workflow_run',
    success: false,
    repository: 'example/tools',
    workflow: 'Nightly',
    job: 'evaluate',
  });
});
