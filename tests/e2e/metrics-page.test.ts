/** docs/metrics.md against a gateway as it runs: what is served is described, what is described exists. */
import { globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { startGateway } from '../support/gateway.ts';
import { ROOT } from '../support/root.ts';
import { waitFor } from '../support/wait-for.ts';
import { folderOf } from '../support/folder.ts';

const page = readFileSync(join(ROOT, 'docs/metrics.md'), 'utf8');
const described = new Set([...page.matchAll(/^\| `([a-z_]+)` /gm)].map(([, name]) => name));
const sources = globSync('src/**/*.ts', { cwd: ROOT })
  .map((path) => readFileSync(join(ROOT, path), 'utf8'))
  .join('\n');

t.test('every family that the gateway serves of itself is on the page, by its kind', async (t) => {
  const gateway = await startGateway({ dataDirectory: folderOf(t) });
  t.teardown(() => gateway.stop('SIGKILL'));
  const metric = {
    type: 'tool_execution',
    value: 1,
    duration_ms: 3,
    dimensions: { tool_name: 'search', success: true },
  };
  const answer = await gateway.post({ service: 'test', metrics: [metric] });
  t.equal(answer.status, 200);
  const text = await waitFor('the metric in a scrape', async () => {
    const found = await gateway.scrape();
    return found.includes('mcp_tool_executions_total{') ? found : undefined;
  });
  const served = [...text.matchAll(/^# TYPE (\S+) (\S+)$/gm)].map(([, name = '', kind = '']) => ({ name, kind }));
  t.ok(served.length > 30, `${served.length} families`);
  for (const { name, kind } of served) {
    t.match(page, new RegExp(`^\\|.*\`${name}\` .*$`, 'm'), name);
    if (described.has(name)) t.match(page, new RegExp(`^\\| \`${name}\` +\\| ${kind} `, 'm'), `${name} is a ${kind}`);
  }
});

t.test('what the page describes is in the sources', (t) => {
  for (const name of described) {
    if (name === undefined || !/^(mcp_gateway|process)_/.test(name)) continue;
    // Some names are put together: `mcp_gateway_sink_${name}`.
    const tail = name.replace(/^mcp_gateway_(sink|journal|metrics)_/, '').replace(/_total$/, '');
    t.ok(sources.includes(`'${name}'`) || sources.includes(tail), name);
  }
  t.end();
});
