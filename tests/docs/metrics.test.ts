/** The gateway's own metrics: what it serves is on the page, and what is on the page is in the code. */
import { globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { startGateway } from '../support/gateway.ts';
import { ROOT } from '../support/root.ts';
import { folderOf } from '../support/folder.ts';

const page = readFileSync(join(ROOT, 'docs/metrics.md'), 'utf8');
const OWN = /\b(?:mcp_gateway|process)_[a-z0-9_]+\b/g;
const onPage = new Set([...page.matchAll(/`((?:mcp_gateway|process)_[a-z0-9_]+)/g)].map(([, name = '']) => name));

t.test('every metric that a gateway serves of itself is described in docs/metrics.md', async (t) => {
  const gateway = await startGateway({ dataDirectory: folderOf(t) });
  t.teardown(() => gateway.stop('SIGKILL'));
  const metric = { type: 'custom', value: 1, dimensions: { metric_name: 'm' } };
  t.equal((await gateway.post({ service: 's', metrics: [metric, { type: 'wrong' }] })).status, 200);
  await fetch(`${gateway.url}/metrics`, { method: 'POST' });
  await gateway.flush();
  await gateway.scrape();
  const served = [...(await gateway.scrape()).matchAll(/^# TYPE (\S+) /gm)]
    .map(([, name = '']) => name)
    .filter((name) => name.match(OWN) !== null);
  t.ok(served.length > 40);
  t.same(
    served.filter((name) => !onPage.has(name)),
    [],
  );
});

t.test('every metric in docs/metrics.md is named in the code', (t) => {
  const code = globSync('src/**/*.ts', { cwd: ROOT })
    .map((file) => readFileSync(join(ROOT, file), 'utf8'))
    .join('\n');
  // Families share a beginning in the code: `mcp_gateway_sink_` and 'queued'.
  const named = (name: string): boolean =>
    code.includes(name) ||
    ['sink', 'journal', 'metrics', 'totals', 'otlp', 'prometheus'].some((family) => {
      const rest = name.slice(`mcp_gateway_${family}_`.length);
      return (
        name.startsWith(`mcp_gateway_${family}_`) &&
        [rest, rest.replace(/_total$/, '')].some((end) => code.includes(`'${end}'`) || code.includes(`_${end}\``))
      );
    });
  t.ok(onPage.size > 40);
  t.same(
    [...onPage].filter((name) => !named(name)),
    [],
  );
  t.end();
});
