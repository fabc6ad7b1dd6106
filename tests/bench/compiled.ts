/** The gateway as it is published: compiled anew from the sources, once a process. */
import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { COMPILED, type Command } from '../support/gateway-command.ts';
import { ROOT } from '../support/root.ts';

let isCompiled = false;

/** @returns the command that runs it */
export function compiled(): Command {
  if (!isCompiled) {
    const path = `${join(ROOT, 'node_modules/.bin')}:${process.env['PATH']}`;
    execFileSync(process.execPath, ['scripts/build.ts'], { cwd: ROOT, env: { ...process.env, PATH: path } });
    isCompiled = true;
  }
  return COMPILED;
}
