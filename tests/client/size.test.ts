import { join } from 'node:path';
import { build } from 'esbuild';
import t from 'tap';

const SOURCES = join(import.meta.dirname, '../../src/client');

/** Bytes of an entry with all that it imports, minified. */
async function minified(entry: string): Promise<{ bytes: number; imports: readonly string[] }> {
  const { outputFiles, metafile } = await build({
    entryPoints: [join(SOURCES, entry)],
    bundle: true,
    minify: true,
    format: 'esm',
    platform: 'neutral',
    metafile: true,
    write: false,
  });
  const imports = Object.values(metafile.outputs).flatMap((output) => output.imports.map(({ path }) => path));
  return { bytes: outputFiles[0]!.contents.length, imports };
}

t.test('the client is at most 10 kB minified, and imports nothing', async (t) => {
  const { bytes, imports } = await minified('index.ts');
  t.comment(`${bytes} bytes`);
  t.ok(bytes <= 10_000, `${bytes} bytes`);
  t.strictSame(imports, []);
});
