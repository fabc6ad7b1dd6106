/** docs/command-line.md says what the commands are, and what the exit codes mean, as the code has it. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Command } from 'commander';
import t from 'tap';
import { EXIT } from '../../src/cli/exit-codes.ts';
import { program } from '../../src/cli/program.ts';
import { ROOT } from '../support/root.ts';

/** Told once for all commands, above and below the table. */
const COMMON = new Set(['--config', '--url', '--key', '--json', '--yes', '--version']);

const page = readFileSync(join(ROOT, 'docs/command-line.md'), 'utf8');
const rowsOf = (heading: string): string[][] =>
  (page.split(`\n## ${heading}\n`)[1]?.split('\n## ')[0] ?? '')
    .split('\n')
    .filter((line) => line.startsWith('|'))
    .slice(2)
    .map((line) =>
      line
        .slice(1, -1)
        .split('|')
        .map((cell) => cell.trim()),
    );

function leaves(command: Command, path: string): string[][] {
  if (command.commands.length > 0)
    return command.commands.flatMap((sub) => leaves(sub, `${path} ${sub.name()}`.trim()));
  const given = command.registeredArguments.map((each) => (each.required ? `<${each.name()}>` : `[${each.name()}]`));
  const options = command.options.map(({ long }) => long ?? '').filter((long) => !COMMON.has(long));
  return [
    [`\`${[path, ...given].join(' ')}\``, command.description(), options.map((option) => `\`${option}\``).join(', ')],
  ];
}

t.test('every command with its options', (t) => {
  t.same(rowsOf('Commands'), leaves(program, ''));
  for (const option of COMMON) if (option !== '--version') t.match(page, `\`${option}`);
  t.end();
});

t.test('every exit code', (t) => {
  const source = readFileSync(join(ROOT, 'src/cli/exit-codes.ts'), 'utf8');
  t.same(
    rowsOf('Exit codes'),
    [...source.matchAll(/\/\*\* (.*) \*\/\n {2}\w+: (\d+)/g)].map(([, meaning, code]) => [code, meaning]),
  );
  t.same(
    rowsOf('Exit codes').map(([code]) => Number(code)),
    Object.values(EXIT),
  );
  t.end();
});
