/** `npm start` in a checkout: it runs on what it finds, says how to make a key, and ends when npm is told to. */
import { symlinkSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { startChild } from '../support/child.ts';
import { freePort } from '../support/free-port.ts';
import { ROOT } from '../support/root.ts';
import { waitFor } from '../support/wait-for.ts';
import { folderOf } from '../support/folder.ts';

t.test('without a terminal it answers 401, says how to make a key, and ends with npm', async (t) => {
  const folder = folderOf(t);
  for (const name of ['package.json', 'node_modules', 'src', 'drizzle', 'pipeline.config.ts']) {
    symlinkSync(join(ROOT, name), join(folder, name));
  }
  const [port, scrapePort] = [await freePort(), await freePort()];
  // A process group of its own, so that the test ends all of it whatever happens.
  const npm = await startChild('setsid', ['npm', 'start'], {
    cwd: folder,
    env: { METRICS_SERVICE_PORT: String(port), OTEL_PROMETHEUS_PORT: String(scrapePort) },
  });
  t.teardown(() => npm.exit() ?? process.kill(-npm.pid, 'SIGKILL'));
  const url = `http://127.0.0.1:${port}`;
  await waitFor('the gateway to be ready', async () => (await fetch(`${url}/readyz`)).ok, { deadlineMs: 60_000 });
  t.equal((await fetch(`${url}/metrics`, { method: 'POST', body: '{}' })).status, 401);
  await waitFor('a word on how to make a key', () => /npm run mcp-metrics -- keys create/.test(npm.output()));
  t.match(npm.output(), new RegExp(`"url":"${url}".*"data":".*/data"`), 'it says where it listens and where data lie');

  // To npm alone, as a supervisor or `kill` does; not to the group, as Ctrl-C does.
  npm.signal('SIGTERM');
  // The pipe closes once the gateway, too, has ended.
  await npm.exited;
  t.match(npm.output(), /"msg":"stopped"/, 'the gateway ended in good order');
});
