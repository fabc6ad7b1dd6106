/** Every scenario still runs, for a moment and on little data, and yields figures. What the figures are is not judged here. */
import { globSync, readFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import t from 'tap';
import { startChild } from '../support/child.ts';
import { ROOT } from '../support/root.ts';
import { programPath, skipWithout } from '../support/tools.ts';
import type { Figure } from './scenario.ts';

const skipWithoutWrk = skipWithout(programPath('wrk'), 'Debian’s package wrk');
const NEEDS_WRK = ['ingest', 'sustained', 'busy', 'memory'];

/** Programs that stand beside the scenarios, with arguments that make them short. */
const PROGRAMS: Readonly<Record<string, readonly string[]>> = {
  'sqlite-write.ts': ['20000'],
  'sqlite-history.ts': ['20000'],
};

const scenarios = globSync('scenarios/*.ts', { cwd: import.meta.dirname }).map((file) => basename(file, '.ts'));

for (const name of scenarios.toSorted()) {
  const skip = NEEDS_WRK.includes(name) && skipWithoutWrk;
  t.test(`${name} runs and yields figures`, { skip, timeout: 120_000 }, async (t) => {
    const path = join(import.meta.dirname, 'run.ts');
    const file = join(t.testdir(), 'figures.json');
    const args = ['--conditions=mcp-metrics-source', path, name, '--small', '--json', file];
    const child = await startChild(process.execPath, args, { cwd: ROOT });
    t.teardown(() => child.stop('SIGKILL'));
    t.strictSame(await child.exited, { code: 0, signal: null }, child.output());
    const { results } = JSON.parse(readFileSync(file, 'utf8')) as { results: Record<string, Figure[]> };
    const figures = results[name] ?? [];
    t.ok(figures.length > 0);
    for (const { what, value, ratio = 1 } of figures) {
      t.ok(Number.isFinite(value) && Number.isFinite(ratio), what);
      t.ok(child.output().includes(what), 'the table has it too');
    }
  });
}

t.test(
  '--profile writes CPU profiles of a gateway under the load of --load',
  { skip: skipWithoutWrk, timeout: 120_000 },
  async (t) => {
    const cwd = t.testdir();
    const path = join(import.meta.dirname, 'run.ts');
    const args = ['--conditions=mcp-metrics-source', path, 'ingest', '--small', '--profile', '--load', '10x8'];
    const child = await startChild(process.execPath, args, { cwd });
    t.teardown(() => child.stop('SIGKILL'));
    t.strictSame(await child.exited, { code: 0, signal: null }, child.output());
    t.match(child.output(), '10 a request, 8 connections');
    t.notMatch(child.output(), '100 a request');
    const profiles = globSync('profiles/*.cpuprofile', { cwd });
    t.ok(profiles.length > 0);
    for (const file of profiles) {
      const { nodes } = JSON.parse(readFileSync(join(cwd, file), 'utf8')) as { nodes: unknown[] };
      t.ok(nodes.length > 0, file);
    }
  },
);

for (const [program, args] of Object.entries(PROGRAMS)) {
  t.test(`${program} runs and prints figures`, { timeout: 120_000 }, async (t) => {
    const path = join(import.meta.dirname, program);
    const child = await startChild(process.execPath, ['--conditions=mcp-metrics-source', path, ...args], { cwd: ROOT });
    t.teardown(() => child.stop('SIGKILL'));
    t.strictSame(await child.exited, { code: 0, signal: null }, child.output());
    t.match(child.output(), /\d/);
  });
}
