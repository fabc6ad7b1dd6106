import { execFile } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import t from 'tap';

const run = promisify(execFile);
const PROMETHEUS = join(import.meta.dirname, '../../deploy/prometheus');
const hasPromtool = await run('promtool', ['--version']).then(
  () => true,
  () => false,
);
const options = hasPromtool ? {} : { skip: 'promtool is not installed' };

t.test('the rules and the scrape configuration are valid', options, async (t) => {
  const rules = readdirSync(join(PROMETHEUS, 'rules')).map((name) => join(PROMETHEUS, 'rules', name));
  await t.resolves(run('promtool', ['check', 'rules', ...rules]));
  await t.resolves(run('promtool', ['check', 'config', join(PROMETHEUS, 'prometheus.yml')]));
});

t.test('every alarm fires when it should and only then', options, async (t) => {
  await t.resolves(run('promtool', ['test', 'rules', join(PROMETHEUS, 'tests/alerts.test.yml')]));
});

t.test('every alarm has a unit test and a section in the runbooks', (t) => {
  const alerts = [...readFileSync(join(PROMETHEUS, 'rules/alerts.yml'), 'utf8').matchAll(/- alert: (\w+)/g)].map(
    ([, name = '']) => name,
  );
  const tests = readFileSync(join(PROMETHEUS, 'tests/alerts.test.yml'), 'utf8');
  const runbooks = readFileSync(join(PROMETHEUS, '../../docs/runbooks.md'), 'utf8');
  t.ok(alerts.length >= 12);
  for (const alert of alerts) {
    t.ok(tests.includes(`alertname: ${alert}`), `${alert} has a unit test`);
    t.match(runbooks, new RegExp(`^## ${alert}$`, 'm'), `${alert} has a runbook`);
  }
  t.end();
});
