/** schemathesis holds the HTTP API to its own OpenAPI document, with thousands of requests, right and wrong ones. */
import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import t from 'tap';
import { openKeyStore } from '../../src/sinks/sqlite/key-store.ts';
import { openStore } from '../../src/sinks/sqlite/store.ts';
import { createLog } from '../../src/telemetry/log.ts';
import { systemClock } from '../../src/telemetry/system-clock.ts';
import { testGateway } from '../http/gateway.ts';
import { endsOf } from '../support/ends.ts';
import { ROOT } from '../support/root.ts';
import { folderOf } from '../support/folder.ts';

const run = promisify(execFile);
const HOME = join(ROOT, '.cache', 'schemathesis');
const PROGRAM = join(HOME, 'bin', 'schemathesis');
const FILES = join(ROOT, 'tests', 'e2e', 'schemathesis');
const EXAMPLES = process.env['SCHEMATHESIS_EXAMPLES'] ?? '30';

/** Installs it once into the checkout's cache. @returns why it is not there, where that fails */
async function install(): Promise<string | undefined> {
  if (existsSync(PROGRAM)) return undefined;
  try {
    await run('python3', ['-m', 'venv', HOME]);
    await run(join(HOME, 'bin', 'pip'), ['install', '--quiet', '--requirement', join(FILES, 'requirements.txt')]);
    return undefined;
  } catch (error) {
    return `schemathesis cannot be installed here: ${String((error as { stderr?: string }).stderr ?? error)
      .trim()
      .slice(-200)}`;
  }
}

t.setTimeout(600_000);
t.test('every answer is as the document says, for any request', async (t) => {
  const missing = await install();
  if (missing !== undefined) {
    t.pass('schemathesis', { skip: missing });
    return;
  }
  const atEnd = endsOf(t);
  const path = join(folderOf(t), 'metrics.db');
  const log = createLog({ level: 'silent' });
  const keys = await openKeyStore({ path, log, clock: systemClock });
  const { retention, history, close } = await openStore(path, { log });
  await retention.applyDefaults(90, Date.now());
  const { secret } = await keys.create({ service: 'schemathesis', scopes: ['ingest', 'read', 'admin'] });
  const gateway = await testGateway({
    auth: { failuresPerMinutePerAddress: 1e9 },
    rateLimit: { perMinute: 1e9 },
    context: { keys },
    dependencies: { retention, history },
  });
  atEnd(() => keys.close());
  atEnd(close);
  atEnd(gateway.close);
  const { port } = await gateway.serve();
  const { failed, output } = await run(
    PROGRAM,
    [
      ['run', `http://127.0.0.1:${port}/openapi.json`, '--header', `X-API-Key: ${secret}`],
      // A stream without end.
      ['--exclude-path', '/admin/tail'],
      ['--phases', 'examples,coverage,fuzzing', '--max-examples', EXAMPLES, '--checks', 'all', '--seed', '1'],
    ].flat(),
    {
      env: {
        ...process.env,
        SCHEMATHESIS_HOOKS: 'hooks',
        PYTHONPATH: FILES,
        NO_COLOR: '1',
        TERM: 'dumb',
        COLUMNS: '200',
      },
      maxBuffer: 64 * 1024 * 1024,
      cwd: folderOf(t),
    },
  ).then(
    ({ stdout }) => ({ failed: false, output: stdout }),
    (error: { stdout?: string; message: string }) => ({ failed: true, output: error.stdout ?? error.message }),
  );
  t.notOk(failed, 'schemathesis finds nothing');
  if (failed) t.comment(output.slice(Math.max(0, output.search(/=+ (?:FAILURES|ERRORS) =+/))));
  const cases = Number(/(\d+) generated/.exec(output)?.[1] ?? 0);
  t.ok(cases > 500, `${cases} requests`);
  t.equal(gateway.logged.filter(({ message }) => message.includes('unexpectedly')).length, 0, 'nothing failed inside');
});
