/** Each layer rule catches what it forbids: a small tree of modules with one violation of every rule. */
import { execFile } from 'node:child_process';
import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import t from 'tap';
import { plainNode } from '../support/plain-node.ts';
import { ROOT } from '../support/root.ts';
import { folderOf } from '../support/folder.ts';

const depcruise = join(ROOT, 'node_modules/dependency-cruiser/bin/dependency-cruise.mjs');

/** Module, what it imports, and the rules that it breaks. */
const MODULES: readonly [module: string, source: string, breaks: readonly string[]][] = [
  ['src/core/a.ts', `import { b } from './b.ts'; import 'node:fs';`, []],
  ['src/core/b.ts', `export const b = 1;`, []],
  ['src/core/sibling.ts', `import type { x } from '../journal/x.ts';`, ['core-stands-alone']],
  ['src/core/re-export.ts', `export { x } from '../processors/x.ts';`, ['core-stands-alone']],
  ['src/core/lazy.ts', `export const x = () => import('../sinks/otel/x.ts');`, ['core-stands-alone']],
  ['src/core/library.ts', `import 'pino';`, ['core-stands-alone']],
  ['src/core/top.ts', `import '../gateway.ts';`, ['core-stands-alone', 'nothing-below-knows-the-top']],
  ['src/telemetry/x.ts', `import '../journal/x.ts';`, ['telemetry-on-core']],
  ['src/telemetry/good.ts', `import '../core/a.ts'; import 'pino'; import '@opentelemetry/api';`, []],
  ['src/journal/x.ts', `export const x = 1;`, []],
  ['src/journal/sinks.ts', `import '../sinks/sqlite/x.ts';`, ['journal-beside-its-siblings']],
  ['src/processors/x.ts', `export const x = 1;`, []],
  ['src/processors/journal.ts', `import '../journal/x.ts';`, ['processors-beside-its-siblings']],
  [
    'src/processors/http.ts',
    `import '../http/x.ts';`,
    ['nothing-below-knows-the-top', 'processors-beside-its-siblings'],
  ],
  ['src/processors/auth.ts', `import 'valibot';`, ['valibot-only-at-home']],
  ['src/processors/validate/x.ts', `import 'valibot'; import '../../core/a.ts';`, []],
  ['src/sinks/sqlite/x.ts', `import 'better-sqlite3'; import 'drizzle-orm/better-sqlite3';`, []],
  ['src/sinks/sqlite/journal.ts', `import '../../journal/x.ts';`, ['sinks-sqlite-beside-its-siblings']],
  ['src/sinks/otel/x.ts', `import '@opentelemetry/sdk-metrics';`, []],
  ['src/sinks/otel/other.ts', `import '../sqlite/x.ts';`, ['sinks-otel-beside-its-siblings']],
  ['src/http/x.ts', `import 'hono'; import 'hono/cors'; import '@hono/node-server'; import '../gateway.ts';`, []],
  ['src/http/database.ts', `import 'drizzle-orm';`, ['database-only-at-home']],
  ['src/http/otel.ts', `import type {} from '@opentelemetry/resources';`, ['opentelemetry-only-at-home']],
  ['src/gateway.ts', `import './journal/x.ts'; import './sinks/otel/x.ts'; import './processors/x.ts';`, []],
  ['src/main.ts', `import './gateway.ts'; import './http/x.ts';`, []],
  ['src/client/client.ts', `import '../core/a.ts';`, ['client-stands-alone']],
  ['src/client/hono.ts', `import type {} from 'hono'; import './client.ts';`, []],
  ['src/testing/good.ts', `import '../core/a.ts'; import '../telemetry/good.ts';`, []],
  ['src/testing/sink.ts', `import '../sinks/otel/x.ts';`, ['testing-on-core']],
  ['src/cli/hono.ts', `import 'hono';`, ['hono-only-at-home']],
  ['src/cli/tests.ts', `import '../../tests/support/x.ts';`, ['src-without-tests']],
  ['src/cli/dev.ts', `import 'fast-check';`, ['no-dev-dependency-in-src']],
  ['src/cli/nowhere.ts', `import './nothing-there.ts';`, ['resolvable']],
  ['tests/support/x.ts', `export const x = 1;`, []],
];

t.test('every rule fires where it should, and only there', async (t) => {
  const folder = folderOf(t);
  for (const [module, source] of MODULES) {
    mkdirSync(join(folder, dirname(module)), { recursive: true });
    writeFileSync(join(folder, module), `${source}\n`);
  }
  for (const name of ['node_modules', 'package.json', '.dependency-cruiser.mjs']) {
    symlinkSync(join(ROOT, name), join(folder, name));
  }
  const output = await new Promise<string>((resolve) => {
    const args = [depcruise, '--config', '.dependency-cruiser.mjs', '--output-type', 'json', 'src'];
    execFile(...plainNode(...args), { cwd: folder, maxBuffer: 1 << 26 }, (_error, stdout, stderr) =>
      resolve(stdout === '' ? stderr : stdout),
    );
  });
  t.match(output, /^\{/, 'dependency-cruiser answers');
  const { summary } = JSON.parse(output) as { summary: { violations: { from: string; rule: { name: string } }[] } };
  for (const [module, source, breaks] of MODULES) {
    const found = summary.violations.filter(({ from }) => from === module).map(({ rule }) => rule.name);
    t.strictSame([...new Set(found)].sort(), breaks, `${module}: ${source}`);
  }
});
