/** The gateway as it is published: compiled where a source is newer than what was compiled before. */
import { execFileSync } from 'node:child_process';
import { existsSync, globSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { COMPILED, type Command } from '../support/gateway-command.ts';
import { ROOT } from '../support/root.ts';

/** What scripts/build.ts writes last. */
const LAST_WRITTEN = join(ROOT, 'dist/pipeline.config.js');
const SOURCES = ['src/**/*.ts', 'scripts/*.ts', 'pipeline.config.ts', 'tsconfig*.json', 'package.json'];

function isFresh(): boolean {
  if (!existsSync(LAST_WRITTEN) || !existsSync(COMPILED.at(-1)!)) return false;
  const { mtimeMs } = statSync(LAST_WRITTEN);
  return globSync(SOURCES, { cwd: ROOT }).every((file) => statSync(join(ROOT, file)).mtimeMs < mtimeMs);
}

/** @returns the command that runs it */
export function compiled(): Command {
  // Not each time: another run beside this one would find nothing where its gateway was.
  if (!isFresh()) {
    const path = `${join(ROOT, 'node_modules/.bin')}:${process.env['PATH']}`;
    execFileSync(process.execPath, ['scripts/build.ts'], { cwd: ROOT, env: { ...process.env, PATH: path } });
  }
  return COMPILED;
}
