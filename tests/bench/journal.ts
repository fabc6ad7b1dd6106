/**
 * Cost of the journal: durable appends per second and CPU per append, at 64 callers, against the same bytes written by
 * one caller with `writev` and against nothing but the frame's CRCs. `node tests/bench/journal.ts [seconds] [rounds]`
 */
import fs from 'node:fs';
import { mkdtemp, open, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Log } from '../../src/core/ports.ts';
import { openSegmentedLog } from '../../src/journal/segmented-log.ts';
import { systemClock } from '../../src/telemetry/system-clock.ts';

const log: Log = { debug() {}, info() {}, warn() {}, error() {}, child: () => log };
const METRIC_BYTES = 400;
const CALLERS = 64;

interface Round {
  readonly name: string;
  readonly perSecond: number;
  /** Main thread and libuv's threads together. */
  readonly cpuMicros: number;
  /** Of the calling thread alone. */
  readonly threadMicros: number;
}

async function measure(name: string, seconds: number, run: (until: () => boolean) => Promise<number>): Promise<Round> {
  const started = performance.now();
  const cpu = process.cpuUsage();
  const loop = performance.eventLoopUtilization();
  const done = await run(() => performance.now() - started >= seconds * 1000);
  const elapsed = performance.now() - started;
  const { user, system } = process.cpuUsage(cpu);
  const { active } = performance.eventLoopUtilization(loop);
  return {
    name,
    perSecond: Math.round((done / elapsed) * 1000),
    cpuMicros: round((user + system) / done),
    threadMicros: round((active * 1000) / done),
  };
}

const round = (value: number): number => Math.round(value * 100) / 100;

/** 64 callers, each with one append under way, as 64 connections have. */
async function appends(directory: string, payload: Uint8Array, metrics: number, until: () => boolean): Promise<number> {
  const journal = await openSegmentedLog({ directory, clock: systemClock, log, maxBytes: 4 * 1024 ** 3 });
  const envelope = Buffer.from(
    JSON.stringify({ f: 'json', q: `req_${'0'.repeat(32)}`, t: Date.now(), k: 'key_0123456789abcdef', s: 'service' }),
  );
  let done = 0;
  const call = async (): Promise<void> => {
    while (!until()) {
      await journal.append({ envelope, payload, metrics });
      done += 1;
      if (done % 2000 === 0) await journal.trim(journal.head().sequence);
    }
  };
  await Promise.all(Array.from({ length: CALLERS }, call));
  await journal.close();
  return done;
}

/** The least that 64 records can cost: one buffer, one system call, no frames, no promises per record. */
async function rawWritev(directory: string, payload: Uint8Array, until: () => boolean): Promise<number> {
  const file = await open(join(directory, 'raw'), fs.constants.O_RDWR | fs.constants.O_CREAT | fs.constants.O_DSYNC);
  const buffers = Array.from({ length: CALLERS }, () => payload);
  const step = payload.length * CALLERS;
  let done = 0;
  for (let position = 0; !until(); position += step) {
    if (position > 256 * 1024 ** 2) {
      await file.truncate(0);
      position = 0;
    }
    await new Promise<void>((resolve, reject) => {
      fs.writev(file.fd, buffers, position, (error) => (error ? reject(error) : resolve()));
    });
    done += CALLERS;
  }
  await file.close();
  return done;
}

const seconds = Number(process.argv[2] ?? 2);
const rounds = Number(process.argv[3] ?? 2);
for (const metrics of [1, 10, 100]) {
  const payload = Buffer.alloc(metrics * METRIC_BYTES, 'x');
  for (let repeat = 0; repeat < rounds; repeat += 1) {
    const directory = await mkdtemp(join(process.env['BENCH_DIRECTORY'] ?? tmpdir(), 'bench-journal-'));
    const rounds = [
      await measure('writev', seconds, (until) => rawWritev(directory, payload, until)),
      await measure('journal', seconds, (until) => appends(join(directory, 'journal'), payload, metrics, until)),
    ];
    await rm(directory, { recursive: true });
    for (const one of rounds) console.log(JSON.stringify({ metrics, ...one }));
  }
}
