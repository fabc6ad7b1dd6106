/** Runs the compiler over the proofs in this folder, with their `@ts-expect-error` and without. */
import { execFile } from 'node:child_process';
import { mkdirSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import t from 'tap';
import { plainNode } from '../support/plain-node.ts';
import { ROOT } from '../support/root.ts';

const tsc = join(ROOT, 'node_modules/typescript/bin/tsc');
const folder = join(ROOT, '.cache', `proofs-${process.pid}`);

/** Type errors of a file, by line. Whatever else the compiler says is an error of this test. */
async function compile(file: string): Promise<ReadonlyMap<number, string>> {
  const config = join(folder, 'tsconfig.json');
  writeFileSync(config, JSON.stringify({ extends: '../../tsconfig.json', include: [file] }));
  const output = await new Promise<string>((resolve) => {
    execFile(...plainNode(tsc, '--noEmit', '--pretty', 'false', '-p', config), (error, stdout, stderr) => {
      resolve(error && stdout === '' ? `${error.message}\n${stderr}` : stdout);
    });
  });
  const errors = new Map<number, string>();
  for (const line of output.split('\n').filter((text) => /^\S/.test(text))) {
    const [, number, message] = /\.ts\((\d+),\d+\): error (TS\d+: .*)/.exec(line) ?? [];
    if (number === undefined || message === undefined) throw new Error(`tsc said: ${output}`);
    errors.set(Number(number), message);
  }
  return errors;
}

t.before(() => mkdirSync(folder, { recursive: true }));
t.teardown(() => rmSync(folder, { recursive: true, force: true }));

for (const proof of readdirSync(import.meta.dirname).filter((name) => name.endsWith('.proof.ts'))) {
  const path = join(import.meta.dirname, proof);
  const source = readFileSync(path, 'utf8');

  t.test(`${proof} compiles`, async (t) => {
    t.strictSame([...(await compile(path))], []);
  });

  t.test(`${proof}: every line that is said to fail fails by itself`, async (t) => {
    const bare = join(folder, basename(proof));
    const lines = source.split('\n');
    writeFileSync(bare, lines.map((line) => line.replace('@ts-expect-error', 'expected:')).join('\n'));
    const errors = await compile(bare);
    const expected = lines.flatMap((line, index) => (line.includes('// @ts-expect-error') ? [index + 2] : []));
    t.ok(expected.length > 0, 'there are proofs');
    t.strictSame([...errors.keys()], expected);
    for (const [line, message] of errors) {
      // A misspelt or missing import would fail the line as well, and prove nothing.
      t.notMatch(message, /Cannot find|has no exported member/, `line ${line}`);
    }
  });
}
