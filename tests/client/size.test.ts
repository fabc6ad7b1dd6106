import { join } from 'node:path';
import { build } from 'esbuild';
import t from 'tap';
import { startChild } from '../support/child.ts';
import { plainNode } from '../support/plain-node.ts';

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

t.test('what else a service may import adds little, and imports nothing either', async (t) => {
  const client = await minified('index.ts');
  for (const [entry, most] of [
    ['mcp/index.ts', 13_500],
    ['http/hono.ts', 5000],
    ['http/express.ts', 5000],
    ['http/fastify.ts', 5000],
    ['http/koa.ts', 5000],
    ['http/node.ts', 5000],
  ] as const) {
    const { bytes, imports } = await minified(entry);
    t.comment(`${entry}: ${bytes - client.bytes} bytes more`);
    t.ok(bytes - client.bytes <= most);
    t.strictSame(imports, []);
  }
});

t.test('importing does nothing: no listener, no timer, no fetch loaded', async (t) => {
  const program = `
    const before = process.eventNames().length;
    for (const entry of ${JSON.stringify(['index.ts', 'mcp/index.ts', 'http/hono.ts', 'http/express.ts'])})
      await import(${JSON.stringify(SOURCES)} + '/' + entry);
    const timers = process.getActiveResourcesInfo().filter((name) => name === 'Timeout').length;
    const loaded = process.moduleLoadList.some((name) => /undici/.test(name));
    console.log(JSON.stringify([process.eventNames().length - before, timers, loaded]));`;
  const child = await startChild(...plainNode('--input-type=module', '--eval', program));
  await child.exited;
  t.strictSame(JSON.parse(child.output()), [0, 0, false]);
});
