/** Fails where a test of the last run passed without asserting anything, which tap takes for success. */
import { existsSync, globSync, readFileSync } from 'node:fs';

const results = '.tap/test-results';
const silent: string[] = [];
for (const result of globSync(`${results}/**/*.tap`)) {
  const test = result.slice(results.length + 1, -'.tap'.length);
  if (!existsSync(test)) continue;
  let name = 'the file itself';
  for (const line of readFileSync(result, 'utf8').split('\n')) {
    name = /^ *# Subtest: (.*)/.exec(line)?.[1] ?? name;
    // A plan of none with a comment is a test that says why it is skipped.
    if (/^ *1\.\.0\s*$/.test(line)) silent.push(`${test}: ${name}`);
  }
}
if (silent.length > 0) {
  console.error(`These tests assert nothing:\n  ${silent.join('\n  ')}`);
  process.exitCode = 1;
}
