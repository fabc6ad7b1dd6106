/** The gateway as it is published: compiled anew from the sources, once a process. */
import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { plainNode } from '../support/plain-node.ts';
import { ROOT } from '../support/root.ts';

/** The options of Node that `npm start`, the image and the systemd unit give. */
const PRODUCTION_FLAGS = ['--max-semi-space-size=4'];

let command: readonly [string, ...string[]] | undefined;

/** @returns the command that runs it */
export function compiled(): readonly [string, ...string[]] {
  if (command !== undefined) return command;
  const path = `${join(ROOT, 'node_modules/.bin')}:${process.env['PATH']}`;
  execFileSync(process.execPath, ['scripts/build.ts'], { cwd: ROOT, env: { ...process.env, PATH: path } });
  command = plainNode(...PRODUCTION_FLAGS, join(ROOT, 'dist/cli/main.js')).flat() as [string];
  return command;
}
