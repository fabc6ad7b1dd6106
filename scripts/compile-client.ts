/** Compiles `src/client` as services need it, for Node ≥ 20 and hosts without Node: as ES modules or as CommonJS. */
import { execFileSync } from 'node:child_process';
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

const ROOT = join(import.meta.dirname, '..');

/** Also writes the `package.json` that says what kind of modules these are. */
export function compileClient(format: 'esm' | 'cjs', folder: string): void {
  const config = {
    extends: join(ROOT, 'tsconfig.json'),
    compilerOptions: {
      target: 'es2022',
      lib: ['es2022', 'dom', 'dom.iterable'],
      types: [],
      noEmit: false,
      declaration: true,
      rootDir: join(ROOT, 'src/client'),
      outDir: folder,
      ...(format === 'cjs' && { module: 'commonjs', moduleResolution: 'bundler', verbatimModuleSyntax: false }),
    },
    include: [join(ROOT, 'src/client')],
  };
  mkdirSync(folder, { recursive: true });
  const path = join(folder, 'tsconfig.json');
  writeFileSync(path, JSON.stringify(config));
  execFileSync(process.execPath, [join(ROOT, 'node_modules/typescript/bin/tsc'), '-p', path], { stdio: 'inherit' });
  rmSync(path);
  const type = format === 'esm' ? 'module' : 'commonjs';
  writeFileSync(join(folder, 'package.json'), `${JSON.stringify({ type })}\n`);
}
