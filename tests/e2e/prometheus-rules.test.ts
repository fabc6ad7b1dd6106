/** Recording rules and alarms of deploy/prometheus: valid, each alarm seen to fire by promtool, each with a runbook. */
import { execFile } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import t from 'tap';
import { PROMTOOL } from '../support/prometheus.ts';
import { ROOT } from '../support/root.ts';
import { skipWithout } from '../support/tools.ts';

const run = promisify(execFile);
const FOLDER = join(ROOT, 'deploy/prometheus');
const skip = skipWithout(PROMTOOL, 'Debian’s package prometheus (promtool)');
const promtool = (...args: string[]): Promise<unknown> => run(PROMTOOL ?? '', args);
const filesOf = (folder: string): string[] =>
  readdirSync(join(FOLDER, folder)).map((name) => join(FOLDER, folder, name));

t.test('the rules and the scrape configuration are valid', { skip }, async (t) => {
  await t.resolves(promtool('check', 'rules', ...filesOf('rules')));
  await t.resolves(promtool('check', 'config', join(FOLDER, 'prometheus.yml')));
});

t.test('every alarm fires when it should and only then', { skip }, async (t) => {
  await t.resolves(promtool('test', 'rules', ...filesOf('tests')));
});

t.test('every alarm has a unit test and a section in the runbooks', (t) => {
  const alerts = [...readFileSync(join(FOLDER, 'rules/alerts.yml'), 'utf8').matchAll(/- alert: (\w+)/g)].map(
    ([, name = '']) => name,
  );
  const tests = filesOf('tests')
    .map((file) => readFileSync(file, 'utf8'))
    .join('\n');
  const runbooks = readFileSync(join(ROOT, 'docs/runbooks.md'), 'utf8');
  t.ok(alerts.length >= 12);
  for (const alert of alerts) {
    t.ok(tests.includes(`alertname: ${alert}`), `${alert} has a unit test`);
    t.match(runbooks, new RegExp(`^## ${alert}$`, 'm'), `${alert} has a runbook`);
  }
  t.end();
});
