/** Compiles to dist/: the sources by tsc, the client as CommonJS too, and pipeline.config.ts, which the package runs on where a user has none. */
import { execFileSync } from 'node:child_process';
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { stripTypeScriptTypes } from 'node:module';
import { fileURLToPath } from 'node:url';
import { compileClient } from './compile-client.ts';

const root = new URL('../', import.meta.url);
const dist = new URL('dist/', root);

rmSync(dist, { recursive: true, force: true });
execFileSync('tsc', ['-p', 'tsconfig.build.json'], { cwd: fileURLToPath(root), stdio: 'inherit' });
compileClient('cjs', fileURLToPath(new URL('client-cjs/', dist)));
const config = readFileSync(new URL('pipeline.config.ts', root), 'utf8');
writeFileSync(new URL('pipeline.config.js', dist), stripTypeScriptTypes(config));
