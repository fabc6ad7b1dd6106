/** The pages on the HTTP API name everything that there is. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { REFUSALS } from '../../src/core/refusal.ts';
import { ROOT } from '../support/root.ts';
import { testGateway } from './gateway.ts';

t.test('docs/api-reference.md has every route', async (t) => {
  const page = readFileSync(join(ROOT, 'docs/api-reference.md'), 'utf8');
  const { app } = await testGateway();
  for (const { method, path } of app.routes) {
    if (method === 'ALL') continue;
    const route = `${method} ${path.replace(/:([a-z]+)/g, '{$1}')}`;
    t.ok(page.includes(`\`${route}\``) || page.includes(`## ${route}\n`), route);
  }
});

t.test('docs/errors.md has every code with its status, and no other', async (t) => {
  const page = readFileSync(join(ROOT, 'docs/errors.md'), 'utf8');
  const rows = [...page.matchAll(/^\| `([a-z_]+)` +\| (\d{3}) /gm)].map(([, code, status]) => [code, Number(status)]);
  t.same(
    Object.fromEntries(rows),
    Object.fromEntries(Object.entries(REFUSALS).map(([code, { status }]) => [code, status])),
  );
  t.end();
});
