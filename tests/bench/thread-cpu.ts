/** CPU by thread of a process (Linux): the main thread, each worker by its name, and V8's and libuv's helpers as one. */
import { readdirSync, readFileSync } from 'node:fs';
import { type Figure, median } from './scenario.ts';

/** Thread id → its name here and the nanoseconds that it has used. */
export type ThreadTimes = ReadonlyMap<string, { readonly name: string; readonly nanoseconds: number }>;

/** Name of a thread → nanoseconds. */
export type CpuByThread = ReadonlyMap<string, number>;

export const MAIN = 'HTTP';
const HELPERS = 'V8 and libuv helpers';
/** As Node 24 names its own; those of `new Worker` carry the option `name`, its first 15 characters. */
const OWN_THREADS = /^(V8Worker|DelayedTaskSche|SignalInspector|libuv-worker|node)$/;

export function threadTimes(pid: number): ThreadTimes {
  const times = new Map<string, { name: string; nanoseconds: number }>();
  for (const id of readdirSync(`/proc/${pid}/task`)) {
    try {
      const comm = readFileSync(`/proc/${pid}/task/${id}/comm`, 'utf8').trim();
      const [nanoseconds] = readFileSync(`/proc/${pid}/task/${id}/schedstat`, 'utf8').split(' ');
      const name = id === String(pid) ? MAIN : OWN_THREADS.test(comm) ? HELPERS : comm;
      times.set(id, { name, nanoseconds: Number(nanoseconds) });
    } catch (error) {
      // It ended between the listing and the reading.
      if (!['ENOENT', 'ESRCH'].includes((error as NodeJS.ErrnoException).code ?? '')) throw error;
    }
  }
  return times;
}

/** What was used in between; threads that have ended by now are left out. */
export function spent(before: ThreadTimes, after: ThreadTimes): CpuByThread {
  const byName = new Map<string, number>();
  for (const [id, { name, nanoseconds }] of after) {
    const used = nanoseconds - (before.get(id)?.nanoseconds ?? 0);
    byName.set(name, (byName.get(name) ?? 0) + used);
  }
  return byName;
}

export const mainOf = (cpu: CpuByThread): number => cpu.get(MAIN) ?? 0;

export function othersOf(cpu: CpuByThread): number {
  let sum = 0;
  for (const [name, nanoseconds] of cpu) if (name !== MAIN) sum += nanoseconds;
  return sum;
}

/** Less than this, microseconds per metric, is not worth a line. */
const WORTH_TELLING = 0.005;

/** One figure a thread: microseconds per metric, medians of the rounds; the one that used most first. */
export function threadFigures(
  what: string,
  rounds: readonly { readonly cpu: CpuByThread; readonly metrics: number }[],
): Figure[] {
  const names = new Set(rounds.flatMap(({ cpu }) => [...cpu.keys()]));
  return Array.from(names, (name) => ({
    what: `${what}: CPU per metric of ${name === HELPERS ? name : `the thread ${name}`}`,
    value: median(rounds.map(({ cpu, metrics }) => (cpu.get(name) ?? 0) / 1000 / metrics)),
    unit: 'µs',
  }))
    .filter(({ value }) => value >= WORTH_TELLING)
    .toSorted((a, b) => b.value - a.value);
}
