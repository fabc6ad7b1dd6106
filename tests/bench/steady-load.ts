/** A gateway under an even load: whether its queues stay flat, and what it costs meanwhile. */
import { readSamples, sumOf } from '../support/books.ts';
import { waitFor } from '../support/wait-for.ts';
import { pace } from './load.ts';
import { residentMemory } from './machine.ts';
import { median } from './scenario.ts';
import type { GatewayUnderTest } from './servers.ts';
import { type CpuByThread, spent, threadTimes } from './thread-cpu.ts';

export const LOAD = { metrics: 100, connections: 64 } as const;

export interface SteadyLoad {
  readonly offered: number;
  /** Metrics a second that were answered with 200. */
  readonly accepted: number;
  /** Requests refused or failed. */
  readonly lost: number;
  readonly p50: number;
  readonly p99: number;
  /** Age of the oldest queued metric, median of the last third, and its growth since the middle third. Seconds. */
  readonly age: number;
  readonly growth: number;
  /** Seconds from when the last request was due to the last answer. */
  readonly late: number;
  /** All of it answered with 200, in time, and no queue older at the end than before: the rate can be kept for ever. */
  readonly flat: boolean;
  /** Nanoseconds, of so many metrics. */
  readonly cpu: CpuByThread;
  readonly metrics: number;
  /** Milliseconds, the largest of the readings of the gateway's own gauge. */
  readonly loopDelayP99: number;
  /** MiB, the largest of the readings. */
  readonly resident: number;
}

/** OTLP counts by its exports, seconds apart; it reads the same totals as Prometheus. */
const SINKS = ['sqlite', 'prometheus'];
/** Growth of a queue's age, seconds in a second, that batches of different sizes can look like. */
const NOISE = 0.03;
const LEAST_NOISE_S = 0.3;
/** The last answer comes within so long after sending should have ended: none was sent late, and none waited long. */
const LAST_ANSWER_S = 1;

interface Reading {
  /** Of the sink that has most. */
  readonly queued: number;
  /** Seconds, of the oldest metric in a queue. */
  readonly age: number;
  readonly loopDelayP99: number;
  readonly resident: number;
}

/** Scrapes the gateway's own page. */
export async function readQueues({ gateway, pid }: GatewayUnderTest): Promise<Reading> {
  const page = readSamples(await gateway.scrape());
  const worst = (name: string): number => Math.max(...SINKS.map((sink) => sumOf(page, name, { sink })));
  return {
    queued: worst('mcp_gateway_sink_queued'),
    age: worst('mcp_gateway_sink_queue_age_seconds'),
    loopDelayP99: sumOf(page, 'mcp_gateway_event_loop_delay_seconds', { statistic: 'p99' }) * 1000,
    resident: residentMemory(pid).now,
  };
}

export async function untilEmpty(server: GatewayUnderTest): Promise<void> {
  await waitFor('all queues to be empty', async () => (await readQueues(server)).queued === 0, {
    deadlineMs: 120_000,
    everyMs: 200,
  });
}

const READINGS = 12;
/** Between two readings, which are scrapes: Prometheus' interval, or oftener where the load is short. */
const pauseMs = (seconds: number): number => Math.min(5000, (seconds * 1000) / READINGS);

/** @param perSecond metrics; @param seconds for so long */
export async function steadyLoad(server: GatewayUnderTest, perSecond: number, seconds: number): Promise<SteadyLoad> {
  const readings: Reading[] = [];
  const before = threadTimes(server.pid);
  const running = pace(server, { ...LOAD, seconds, perSecond: perSecond / LOAD.metrics });
  let done = false;
  void running.finally(() => (done = true)).catch(() => {});
  while (!done) {
    readings.push(await readQueues(server));
    await new Promise((resolve) => setTimeout(resolve, pauseMs(seconds)));
  }
  const { ok, refused, failed, seconds: took, p50, p99 } = await running;
  const cpu = spent(before, threadTimes(server.pid));
  const residentAtTheEnd = residentMemory(server.pid).now;
  const late = took - seconds;
  const metrics = ok * LOAD.metrics;
  const third = Math.max(1, Math.floor(readings.length / 3));
  const medianAge = (part: readonly Reading[]): number => median(part.map(({ age }) => age));
  const age = medianAge(readings.slice(-third));
  const growth = age - medianAge(readings.slice(-2 * third, -third));
  return {
    offered: perSecond,
    accepted: metrics / took,
    lost: refused + failed,
    p50,
    p99,
    age,
    growth,
    late,
    flat: refused + failed === 0 && late <= LAST_ANSWER_S && growth <= Math.max(LEAST_NOISE_S, (seconds / 3) * NOISE),
    cpu,
    metrics,
    loopDelayP99: Math.max(...readings.map((reading) => reading.loopDelayP99)),
    resident: Math.max(residentAtTheEnd, ...readings.map((reading) => reading.resident)),
  };
}
