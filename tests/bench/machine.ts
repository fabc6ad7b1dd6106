/** What a table of figures is worth nothing without: machine, versions, load, and what one durable write costs. */
import { execFileSync } from 'node:child_process';
import { closeSync, constants, mkdtempSync, openSync, readFileSync, rmSync, writeSync } from 'node:fs';
import { arch, cpus, loadavg, release, tmpdir, totalmem, type } from 'node:os';
import { join } from 'node:path';
import Database from 'better-sqlite3';
import { quantile } from './scenario.ts';

export interface Machine {
  readonly system: string;
  readonly cpu: string;
  readonly cores: number;
  readonly memoryGiB: number;
  readonly node: string;
  readonly sqlite: string;
  readonly commit: string;
  readonly load: number;
  /** Milliseconds of one `O_DSYNC` write of 4 KiB where the benchmarks write: median and 99th percentile. */
  readonly durableWriteMs: { readonly p50: number; readonly p99: number };
}

export function describeMachine(): Machine {
  const [first] = cpus();
  const db = new Database(':memory:');
  const sqlite = String(db.prepare<[], string>('SELECT sqlite_version()').pluck().get());
  db.close();
  return {
    system: `${type()} ${release()} ${arch()}`,
    cpu: first?.model ?? 'unknown',
    cores: cpus().length,
    memoryGiB: Math.round(totalmem() / 1024 ** 3),
    node: process.versions.node,
    sqlite,
    commit: commit(),
    load: loadavg()[0] ?? Number.NaN,
    durableWriteMs: durableWrite(),
  };
}

function commit(): string {
  try {
    return execFileSync('git', ['rev-parse', '--short', 'HEAD'], {
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'ignore'],
    }).trim();
  } catch {
    return 'unknown';
  }
}

function durableWrite(): { p50: number; p99: number } {
  const directory = mkdtempSync(join(tmpdir(), 'bench-disk-'));
  const file = openSync(join(directory, 'file'), constants.O_WRONLY | constants.O_CREAT | constants.O_DSYNC);
  const page = Buffer.alloc(4096, 1);
  const times = Array.from({ length: 200 }, (_, at) => {
    const start = performance.now();
    writeSync(file, page, 0, page.length, at * page.length);
    return performance.now() - start;
  });
  closeSync(file);
  rmSync(directory, { recursive: true });
  return { p50: quantile(times, 0.5), p99: quantile(times, 0.99) };
}

/** MiB resident now, and the most there ever were (Linux). */
export function residentMemory(pid: number): { readonly now: number; readonly peak: number } {
  const status = readFileSync(`/proc/${pid}/status`, 'utf8');
  const of = (name: string): number => Number(new RegExp(`^${name}:\\s+(\\d+) kB`, 'm').exec(status)?.[1]) / 1024;
  return { now: of('VmRSS'), peak: of('VmHWM') };
}
