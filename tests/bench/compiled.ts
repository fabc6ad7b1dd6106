/** The gateway as it is published: compiled anew from the sources. */
import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { plainNode } from '../support/plain-node.ts';
import { ROOT } from '../support/root.ts';

/** @returns the command that runs it, with the options of Node that `npm start`, the image and the systemd unit give */
export function compiled(): readonly [string, ...string[]] {
  const path = `${join(ROOT, 'node_modules/.bin')}:${process.env['PATH']}`;
  execFileSync(process.execPath, ['scripts/build.ts'], { cwd: ROOT, env: { ...process.env, PATH: path } });
  return plainNode('--max-semi-space-size=4', join(ROOT, 'dist/cli/main.js')).flat() as [string];
}
