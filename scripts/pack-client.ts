/**
 * Packs `mcp-metrics-client` out of `src/client`: the same sources as the gateway's `./client`, compiled to ES modules and
 * to CommonJS, for Node ≥ 20. `node scripts/pack-client.ts [--destination FOLDER]` prints the tarball's path.
 */
import { execFileSync } from 'node:child_process';
import { copyFileSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { compileClient } from './compile-client.ts';

const ROOT = join(import.meta.dirname, '..');

interface Manifest {
  version: string;
  exports?: Record<string, unknown>;
  [field: string]: unknown;
}
const readManifest = (path: string): Manifest => JSON.parse(readFileSync(path, 'utf8')) as Manifest;

/** `./client/mcp` of the gateway is `./mcp` here. */
function packageExports(gateway: Manifest): Record<string, unknown> {
  const entries: Record<string, unknown> = {};
  for (const [name, target] of Object.entries(gateway.exports ?? {})) {
    if (!/^\.\/client(\/|$)/.test(name)) continue;
    const { default: file } = (target as { import: { default: string } }).import;
    const path = file.replace('./dist/client/', '').replace(/\.js$/, '');
    const files = (folder: string): Record<string, string> => ({
      types: `./dist/${folder}/${path}.d.ts`,
      default: `./dist/${folder}/${path}.js`,
    });
    entries[name.replace('./client', '.')] = { import: files('esm'), require: files('cjs') };
  }
  return entries;
}

/** @returns the tarball's path */
export function packClient(destination: string): string {
  const gateway = readManifest(join(ROOT, 'package.json'));
  const stage = join(ROOT, '.cache/mcp-metrics-client');
  rmSync(stage, { recursive: true, force: true });
  mkdirSync(stage, { recursive: true });
  mkdirSync(destination, { recursive: true });
  for (const format of ['esm', 'cjs'] as const) compileClient(format, join(stage, 'dist', format));
  // Both packages are of one version, since they are of the same sources.
  const manifest = {
    ...readManifest(join(ROOT, 'clients/typescript/package.json')),
    version: gateway.version,
    exports: packageExports(gateway),
  };
  writeFileSync(join(stage, 'package.json'), `${JSON.stringify(manifest, null, 2)}\n`);
  copyFileSync(join(ROOT, 'clients/typescript/README.md'), join(stage, 'README.md'));
  copyFileSync(join(ROOT, 'LICENSE'), join(stage, 'LICENSE'));
  const printed = execFileSync('npm', ['pack', '--json', '--pack-destination', resolve(destination)], {
    cwd: stage,
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  const [packed] = JSON.parse(printed) as [{ filename: string }];
  return join(resolve(destination), packed.filename);
}

if (import.meta.main) {
  const { values } = parseArgs({ options: { destination: { type: 'string', default: '.' } } });
  console.log(packClient(values.destination));
}
