/**
 * The longest pieces of work that the HTTP thread does at once: a callback of libuv, a timer or an immediate, with the ticks and
 * promises that run, and what libuv does, before the next of them. Counted is the thread's CPU time, so what it waits for others does not matter; what
 * the hooks themselves cost is in it. The functions come from a CPU profile taken meanwhile.
 */
import { createHook, executionAsyncResource } from 'node:async_hooks';
import { type Profiler, Session } from 'node:inspector';
import { type PerformanceEntry, PerformanceObserver } from 'node:perf_hooks';
import { threadCpuMs } from '../thread-clock.ts';
import { probe } from './probe.ts';

export interface Piece {
  /** Class of the resource whose callback it was. */
  readonly kind: string;
  readonly cpuMs: number;
  /** Of the callback and what it led to. CPU time beyond it was libuv's or V8's, before the next one. */
  readonly wallMs: number;
  /** Garbage collection on this thread until the next piece. */
  readonly collectingMs: number;
  /** Where the profile's samples lie until the next piece, most of them first. */
  readonly functions: readonly string[];
}

export interface LongPieces {
  readonly pieces: number;
  /** CPU of the longest, milliseconds. */
  readonly longestMs: number;
  /** Kind → pieces above `LIMIT_MS`. */
  readonly over: Readonly<Record<string, number>>;
  /** Those that are worth a look, the longest first. */
  readonly longest: readonly Piece[];
}

export const LIMIT_MS = 5;
const NOTED_MS = 2;
const MOST = 20;
const SAMPLE_MICROS = 500;

/** Times in milliseconds of `performance.now()`; `end` is when the next piece began. */
interface Noted {
  readonly kind: string;
  readonly cpuMs: number;
  readonly start: number;
  readonly done: number;
  readonly end: number;
}

/** Where a piece goes on, rather than where one begins. */
const isContinuation = (resource: object): boolean =>
  resource instanceof Promise || ('callback' in resource && 'args' in resource && !('_idleTimeout' in resource));

probe(() => {
  const session = new Session();
  session.connect();
  session.post('Profiler.enable');
  session.post('Profiler.setSamplingInterval', { interval: SAMPLE_MICROS });
  session.post('Profiler.start');
  const collections: { start: number; end: number }[] = [];
  const note = (entries: readonly PerformanceEntry[]): void => {
    for (const { startTime, duration } of entries) collections.push({ start: startTime, end: startTime + duration });
  };
  const observer = new PerformanceObserver((list) => note(list.getEntries()));
  observer.observe({ entryTypes: ['gc'] });

  const noted: Noted[] = [];
  const over: Record<string, number> = {};
  let pieces = 0;
  let longestMs = 0;
  let depth = 0;
  let running: { kind: string; cpu: number; start: number } | undefined;
  let doneAt = 0;
  const finish = (cpu: number, end: number): void => {
    if (running === undefined) return;
    pieces += 1;
    const { kind, start } = running;
    const cpuMs = cpu - running.cpu;
    longestMs = Math.max(longestMs, cpuMs);
    if (cpuMs > LIMIT_MS) over[kind] = (over[kind] ?? 0) + 1;
    if (cpuMs > NOTED_MS) noted.push({ kind, cpuMs, start, done: doneAt, end });
  };
  const hook = createHook({
    before() {
      if (depth === 0) {
        const resource = executionAsyncResource();
        if (!isContinuation(resource)) {
          const cpu = threadCpuMs();
          const now = performance.now();
          finish(cpu, now);
          running = { kind: resource.constructor.name, cpu, start: now };
        }
      }
      depth += 1;
    },
    after() {
      depth = Math.max(0, depth - 1);
      if (depth === 0) doneAt = performance.now();
    },
  }).enable();

  return (): LongPieces => {
    hook.disable();
    note(observer.takeRecords());
    observer.disconnect();
    let profile: Profiler.Profile | undefined;
    session.post('Profiler.stop', (error, result) => {
      if (error === null) profile = result.profile;
    });
    session.disconnect();
    const longest = noted.toSorted((a, b) => b.cpuMs - a.cpuMs).slice(0, MOST);
    return {
      pieces,
      longestMs,
      over,
      longest: longest.map(({ kind, cpuMs, start, done, end }) => ({
        kind,
        cpuMs,
        wallMs: done - start,
        collectingMs: collections.reduce((sum, one) => sum + overlap(one, { start, end }), 0),
        functions: profile === undefined ? [] : functionsIn(profile, { start, end }),
      })),
    };
  };
});

interface Span {
  readonly start: number;
  readonly end: number;
}

const overlap = (a: Span, b: Span): number => Math.max(0, Math.min(a.end, b.end) - Math.max(a.start, b.start));

/** The profile's clock is libuv's, microseconds; `performance.now()` counts from the start of the process. */
const clockOffsetMs = Number(process.hrtime.bigint()) / 1e6 - performance.now();

function functionsIn({ nodes, samples = [], timeDeltas = [], startTime }: Profiler.Profile, span: Span): string[] {
  const names = new Map(
    nodes.map(({ id, callFrame: { functionName, url, lineNumber } }) => [
      id,
      `${functionName || '(anonymous)'}${url === '' ? '' : ` ${url.split('/').slice(-2).join('/')}:${lineNumber + 1}`}`,
    ]),
  );
  const counts = new Map<string, number>();
  let at = startTime / 1000 - clockOffsetMs;
  for (const [index, delta] of timeDeltas.entries()) {
    at += delta / 1000;
    if (at < span.start || at > span.end) continue;
    const name = names.get(samples[index]!) ?? '?';
    if (name === '(idle)') continue;
    counts.set(name, (counts.get(name) ?? 0) + 1);
  }
  return Array.from(counts)
    .toSorted(([, a], [, b]) => b - a)
    .slice(0, 4)
    .map(([name, count]) => `${name} (${count} samples)`);
}
