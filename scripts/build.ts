/** Compiles to dist/: the sources by tsc, and pipeline.config.ts, which the package runs on where a user has none. */
import { execFileSync } from 'node:child_process';
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { stripTypeScriptTypes } from 'node:module';
import { fileURLToPath } from 'node:url';

const root = new URL('../', import.meta.url);
const dist = new URL('dist/', root);

rmSync(dist, { recursive: true, force: true });
execFileSync('tsc', ['-p', 'tsconfig.build.json'], { cwd: fileURLToPath(root), stdio: 'inherit' });
const config = readFileSync(new URL('pipeline.config.ts', root), 'utf8');
writeFileSync(new URL('pipeline.config.js', dist), stripTypeScriptTypes(config));
