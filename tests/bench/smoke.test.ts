/** Every benchmark still runs, on its smallest settings, and prints figures. What the figures are is not judged here. */
import { globSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { startChild } from '../support/child.ts';
import { ROOT } from '../support/root.ts';
import { programPath, skipWithout } from '../support/tools.ts';

const skipWithoutWrk = skipWithout(programPath('wrk'), 'Debian’s package wrk');

/** Benchmark → arguments that make it short, and why it cannot run here. */
const BENCHMARKS: Readonly<Record<string, { args: readonly string[]; skip?: false | string }>> = {
  'aggregate.ts': { args: ['--rounds', '1'] },
  'journal.ts': { args: ['1'] },
  'otlp-export.ts': { args: ['--rounds', '1'] },
  'scrape.ts': { args: ['--rounds', '1'] },
  'sqlite-write.ts': { args: ['20000'] },
  'http-thread/run.ts': { args: ['1', '1', '--hundred'], skip: skipWithoutWrk },
};
/** What benchmarks are made of, none themselves. */
const PARTS = ['byte-counter.ts', 'http-thread/server.ts', 'scraper.ts', 'totals-of-many-series.ts'];

const files = globSync('**/*.ts', { cwd: import.meta.dirname });
for (const file of files) {
  const hasOwnTest = file.endsWith('.test.ts') || files.includes(file.replace(/\.ts$/, '.test.ts'));
  if (hasOwnTest || file in BENCHMARKS || PARTS.includes(file)) continue;
  t.test(file, { skip: 'no short settings are known here; add them' }, (t) => t.end());
}

for (const [benchmark, { args, skip = false }] of Object.entries(BENCHMARKS)) {
  t.test(`${benchmark} runs and prints figures`, { skip, timeout: 180_000 }, async (t) => {
    const path = join(import.meta.dirname, benchmark);
    const child = await startChild(process.execPath, ['--conditions=mcp-metrics-source', path, ...args], { cwd: ROOT });
    t.teardown(() => child.stop('SIGKILL'));
    t.strictSame(await child.exited, { code: 0, signal: null }, child.output());
    t.match(child.output(), /\d+(\.\d+)?/);
  });
}
