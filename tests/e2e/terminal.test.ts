/** The command line in front of a person: a real terminal, played by `script`. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t from 'tap';
import { type Child, startChild } from '../support/child.ts';
import { runCli } from '../support/cli.ts';
import { FROM_SOURCE } from '../support/gateway-command.ts';
import { ROOT } from '../support/root.ts';
import { programPath, skipWithout } from '../support/tools.ts';
import { waitFor } from '../support/wait-for.ts';

const skip = skipWithout(programPath('script'), 'script, of Debian’s package bsdutils, plays the terminal');
const DOWN = '\u001B[B';
const CTRL_C = '\u0003';

t.test('at a terminal', { skip }, async (t) => {
  const directory = mkdtempSync(join(tmpdir(), 'tty-'));
  t.teardown(() => rmSync(directory, { recursive: true, force: true }));
  const env = { SQLITE_DB_PATH: join(directory, 'metrics.db'), TERM: 'xterm' };

  /** Types each answer once its question is shown. @returns the exit code and what was on the screen */
  const play = async (args: readonly string[], ...steps: readonly (readonly [question: string, keys: string])[]) => {
    const typed = `stty cols 120 rows 40; exec ${[...FROM_SOURCE, ...args].map((part) => `'${part}'`).join(' ')}`;
    const child: Child = await startChild('script', ['-qfec', typed, '/dev/null'], { cwd: ROOT, env, input: true });
    try {
      let seen = 0;
      for (const [question, keys] of steps) {
        seen = await waitFor(
          question,
          () => {
            const at = child.output().indexOf(question, seen);
            return at >= 0 && at + question.length;
          },
          { deadlineMs: 60_000 },
        );
        child.write(keys);
      }
      await waitFor('the command to end', () => child.exit() !== undefined, { deadlineMs: 60_000 });
      return { code: child.exit()?.code, screen: child.output() };
    } finally {
      await child.stop('SIGKILL');
    }
  };
  const keys = async () =>
    JSON.parse((await runCli(env, 'keys', 'list', '--json')).stdout) as {
      id: string;
      service: string;
      scopes: string[];
      state: string;
    }[];

  await t.test('keys create asks for what is missing, and again for what does not fit', async (t) => {
    const { code, screen } = await play(
      ['keys', 'create'],
      ['Whose key', 'my svc\r'],
      ['expected', '\u007F\u007F\u007F\u007Fsvc\r'],
      ['What may it do?', ` ${DOWN} \r`],
    );
    t.equal(code, 0, screen);
    t.match(screen, /mcp_metrics_[A-Za-z0-9_-]{43}/);
    t.match(await keys(), [{ service: 'mysvc', scopes: ['read'], state: 'active' }]);
  });

  await t.test('Ctrl-C at a question changes nothing', async (t) => {
    const { code, screen } = await play(['keys', 'create'], ['Whose key', CTRL_C]);
    t.equal(code, 130, screen);
    t.match(screen, 'nothing was changed');
    t.equal((await keys()).length, 1);
  });

  await t.test('keys revoke asks, and takes no for an answer', async (t) => {
    const id = (await keys())[0]?.id ?? '';
    const no = await play(['keys', 'revoke', id], ['of mysvc (read; never used)?', '\r']);
    t.equal(no.code, 130, no.screen);
    t.match(await keys(), [{ state: 'active' }]);
    const yes = await play(['keys', 'revoke', id], ['Revoke key_', 'y']);
    t.equal(yes.code, 0, yes.screen);
    t.match(await keys(), [{ state: 'revoked' }]);
  });

  await t.test('--yes and --json ask nothing', async (t) => {
    const id = (await keys())[0]?.id ?? '';
    for (const flag of ['--yes', '--json']) {
      const { code, screen } = await play(['keys', 'revoke', id, flag]);
      t.equal(code, 0, screen);
      t.notMatch(screen, 'Revoke key_');
    }
    const { code, screen } = await play(['keys', 'create', '--json']);
    t.equal(code, 64, screen);
  });

  await t.test('a clean-up tells what would go, and asks', async (t) => {
    const no = await play(['retention', 'cleanup'], ['Nothing is past its retention', '\r']);
    t.equal(no.code, 130, no.screen);
    t.equal((await play(['retention', 'cleanup', '--yes'])).code, 0);
    t.notMatch((await play(['retention', 'cleanup', '--dry-run'])).screen, 'Nothing is past');
  });

  await t.test('backup shows a bar', async (t) => {
    const { code, screen } = await play(['backup', join(directory, 'copy.db')]);
    t.equal(code, 0, screen);
    t.match(screen, /backup [█░]+ \d+ %/);
  });

  await t.test('a script is never asked', async (t) => {
    const id = (await keys())[0]?.id ?? '';
    t.equal((await runCli(env, 'keys', 'revoke', id)).code, 0);
    t.match(await runCli(env, 'keys', 'create'), { code: 64, stderr: '--service' });
    const { stdout } = await runCli(env, 'retention', 'cleanup');
    t.notMatch(stdout, '\u001B', 'and gets plain text');
  });
});
