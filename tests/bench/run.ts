/**
 * `npm run bench [-- <scenario> …] [--json FILE] [--rounds N] [--load 100x64 …] [--profile] [--small]`: runs scenarios, one after
 * the other, and prints one table; `--json` writes the figures to a file too. `--load` restricts `ingest` to so many metrics a
 * request over so many connections, and may be repeated. `--profile` has each gateway write CPU profiles of its whole life to
 * ./profiles: with one `--load` they are of that load. `--small` shows that all of it runs.
 */
import { mkdirSync, writeFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { describeMachine } from './machine.ts';
import type { Figure, Load, Scenario } from './scenario.ts';
import { rows } from './table.ts';

const SCENARIOS: Readonly<Record<string, () => Promise<{ readonly scenario: Scenario }>>> = {
  validate: () => import('./scenarios/validate.ts'),
  aggregate: () => import('./scenarios/aggregate.ts'),
  journal: () => import('./scenarios/journal.ts'),
  scrape: () => import('./scenarios/scrape.ts'),
  'otlp-export': () => import('./scenarios/otlp-export.ts'),
  ingest: () => import('./scenarios/ingest.ts'),
  'large-bodies': () => import('./scenarios/large-bodies.ts'),
  sustained: () => import('./scenarios/sustained.ts'),
  busy: () => import('./scenarios/busy.ts'),
  'sqlite-insert': () => import('./scenarios/sqlite-insert.ts'),
  query: () => import('./scenarios/query.ts'),
  history: () => import('./scenarios/history.ts'),
  'start-up': () => import('./scenarios/start-up.ts'),
  memory: () => import('./scenarios/memory.ts'),
};

function refuse(why: string): never {
  console.error(why);
  process.exit(2);
}

function loadOf(text: string): Load {
  const [, metrics, connections] = /^([1-9]\d*)x([1-9]\d*)$/.exec(text) ?? [];
  if (metrics === undefined) refuse(`--load ${text}: expected metrics x connections, such as 100x64`);
  return { metrics: Number(metrics), connections: Number(connections) };
}

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    json: { type: 'string' },
    small: { type: 'boolean' },
    profile: { type: 'boolean' },
    rounds: { type: 'string' },
    load: { type: 'string', multiple: true, default: [] },
  },
});
const unknown = positionals.filter((name) => !Object.hasOwn(SCENARIOS, name));
const rounds = Number(values.rounds ?? (values.small === true ? 1 : 5));
if (unknown.length > 0)
  refuse(`${unknown.join(', ')}: no such scenario; there are ${Object.keys(SCENARIOS).join(', ')}`);
if (!Number.isInteger(rounds) || rounds < 1) refuse(`--rounds ${values.rounds}: expected a whole number, 1 or more`);
const loads = values.load.map(loadOf);
const profileDirectory = values.profile === true ? resolve('profiles') : undefined;
if (profileDirectory !== undefined) mkdirSync(profileDirectory, { recursive: true });

const machine = describeMachine();
const results: Record<string, readonly Figure[]> = {};
for (const name of positionals.length > 0 ? positionals : Object.keys(SCENARIOS)) {
  const { scenario } = await SCENARIOS[name]!();
  const say = (text: string): void => console.error(`${name}: ${text}`);
  const began = performance.now();
  results[name] = await scenario({ rounds, small: values.small === true, profileDirectory, loads, say });
  say(`took ${((performance.now() - began) / 1000).toFixed(0)} s`);
}
if (values.json !== undefined)
  writeFileSync(values.json, `${JSON.stringify({ machine, rounds, small: values.small === true, results })}\n`);
const { system, cpu, cores, memoryGiB, node, sqlite, commit, load, durableWriteMs } = machine;
console.log(`${system}, ${cores} × ${cpu}, ${memoryGiB} GiB; Node.js ${node}, SQLite ${sqlite}, commit ${commit}`);
console.log(
  `load ${load.toFixed(1)} at the start; one O_DSYNC write of 4 KiB: ${durableWriteMs.p50.toFixed(2)} ms median, ${durableWriteMs.p99.toFixed(2)} ms p99; medians of ${rounds} rounds`,
);
for (const line of rows(results)) console.log(line);
if (profileDirectory !== undefined)
  console.error(
    `profiles of the gateways that were started (open in Chrome's DevTools, Performance): ${profileDirectory}`,
  );
process.exit(0);
