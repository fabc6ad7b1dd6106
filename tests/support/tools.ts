/** Programs that slow tests use where they are installed. A test without its program is skipped, and says why. */
import { createHash } from 'node:crypto';
import { accessSync, constants, readFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { delimiter, join } from 'node:path';
import { ROOT } from './root.ts';

const isExecutable = (path: string): boolean => {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
};

const CACHE = join(process.env['XDG_CACHE_HOME'] ?? join(homedir(), '.cache'), 'mcp-metrics-gateway');

/** Where a program of the `PATH`, or one that `.ci/run` installed, is. */
export const programPath = (name: string): string | undefined =>
  [...`${process.env['PATH'] ?? ''}${delimiter}/usr/sbin`.split(delimiter), join(CACHE, 'bin')]
    .map((folder) => join(folder, name))
    .find(isExecutable);

/** Where `otel-collector/build` puts the collector of this manifest, or what `OTELCOL` names. */
export function collectorPath(): string | undefined {
  const named = process.env['OTELCOL'];
  if (named !== undefined) return named;
  const hash = createHash('sha256')
    .update(readFileSync(join(ROOT, 'otel-collector/builder.yaml')))
    .digest('hex');
  const path = join(CACHE, `otelcol-${hash.slice(0, 16)}`, 'otelcol');
  return isExecutable(path) ? path : undefined;
}

/** tap's `skip`: false where the program is there, else the reason. */
export const skipWithout = (path: string | undefined, how: string): false | string =>
  path === undefined ? `not on this machine: ${how}` : false;
