/**
 * Fails where a test of the last run passed without asserting anything, which tap takes for success. A property that
 * fast-check asserts is an assertion, though tap counts none.
 */
import { existsSync, globSync, readFileSync } from 'node:fs';

const results = '.tap/test-results';

/** The source of the test of that name; the whole file where the name is put together at run time. */
function sourceOf(file: string, name: string): string {
  const source = readFileSync(file, 'utf8');
  const at = source.indexOf(name);
  if (at === -1) return source;
  const next = /^\s*t\.test\(/m.exec(source.slice(at));
  return source.slice(at, next === null ? undefined : at + next.index);
}

const silent: string[] = [];
for (const result of globSync(`${results}/**/*.tap`)) {
  const file = result.slice(results.length + 1, -'.tap'.length);
  if (!existsSync(file)) continue;
  let name = '';
  for (const line of readFileSync(result, 'utf8').split('\n')) {
    name = /^ *# Subtest: (.*)/.exec(line)?.[1] ?? name;
    // A plan of none with a comment is a test that says why it is skipped.
    if (/^ *1\.\.0\s*$/.test(line) && !sourceOf(file, name).includes('fc.assert(')) silent.push(`${file}: ${name}`);
  }
}
if (silent.length > 0) {
  console.error(`These tests assert nothing:\n  ${silent.join('\n  ')}`);
  process.exitCode = 1;
}
