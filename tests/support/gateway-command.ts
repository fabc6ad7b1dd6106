/** The command that runs `mcp-metrics`: from the sources, or compiled and with the options of Node that it is published with. */
import { join } from 'node:path';
import { plainNode } from './plain-node.ts';
import { ROOT } from './root.ts';

/** Begins with `env -u NODE_OPTIONS`; ends with the script. */
export type Command = readonly [string, ...string[]];

export const FROM_SOURCE = plainNode('--conditions=mcp-metrics-source', join(ROOT, 'src/cli/main.ts')).flat() as [
  string,
];

/** As `npm start`, the image and the systemd unit start it. Runs what `npm run build` left in dist/. */
export const COMPILED = plainNode('--max-semi-space-size=4', join(ROOT, 'dist/cli/main.js')).flat() as [string];

/** What tests run: the sources, and with `GATEWAY_UNDER_TEST=compiled` what is published. */
export const UNDER_TEST: Command = process.env['GATEWAY_UNDER_TEST'] === 'compiled' ? COMPILED : FROM_SOURCE;

/** The same with these in its environment, each `NAME=value`. */
export const withEnvironment = ([env, ...rest]: Command, settings: readonly string[]): Command => [
  env,
  ...rest.slice(0, 2),
  ...settings,
  ...rest.slice(2),
];
