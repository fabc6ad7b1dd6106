/** The linter is type-aware and takes a promise that nobody waits for as an error: here it is a lost batch. */
import { execFile } from 'node:child_process';
import { copyFileSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { plainNode } from '../support/plain-node.ts';
import { ROOT } from '../support/root.ts';

const oxlint = join(ROOT, 'node_modules/oxlint/bin/oxlint');
/** Beside the sources, so that types and packages are found as from there. */
const folder = join(ROOT, '.cache', `lint-${process.pid}`);

const lint = (source: string): Promise<{ failed: boolean; output: string }> => {
  writeFileSync(join(folder, 'sample.ts'), source);
  const args = [oxlint, '--type-aware', '--deny-warnings', '--no-ignore', '-f', 'unix', 'sample.ts'];
  return new Promise((resolve) => {
    execFile(...plainNode(...args), { cwd: folder }, (error, stdout, stderr) =>
      resolve({ failed: error !== null, output: stdout + stderr }),
    );
  });
};

t.before(() => {
  mkdirSync(folder, { recursive: true });
  copyFileSync(join(ROOT, '.oxlintrc.json'), join(folder, '.oxlintrc.json'));
  writeFileSync(join(folder, 'tsconfig.json'), '{ "extends": "../../tsconfig.json", "include": ["*.ts"] }');
});
t.teardown(() => rmSync(folder, { recursive: true, force: true }));

const WRITE = 'const write = async (): Promise<void> => {};\nexport const begin = async (): Promise<void> => {\n';

t.test('a promise that is awaited passes', async (t) => {
  t.match(await lint(`${WRITE}  await write();\n};\n`), { failed: false });
});

t.test('a promise that nobody waits for is an error', async (t) => {
  t.match(await lint(`${WRITE}  write();\n};\n`), { failed: true, output: /sample\.ts:3:3: .*no-floating-promises/ });
});

t.test('`void` does not excuse it', async (t) => {
  t.match(await lint(`${WRITE}  void write();\n};\n`), { failed: true, output: /no-floating-promises/ });
});

t.test('an async function where nobody waits for its end is an error', async (t) => {
  t.match(await lint(`${WRITE}  [1].forEach(async () => {\n    await write();\n  });\n};\n`), {
    failed: true,
    output: /no-misused-promises/,
  });
});

t.test('`any` is an error', async (t) => {
  t.match(await lint('export const x = (y: any): void => y;\n'), { failed: true, output: /no-explicit-any/ });
});
