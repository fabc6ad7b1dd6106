/** What the process itself costs: event-loop delay, CPU, memory, and which build it is. */
import { monitorEventLoopDelay, performance } from 'node:perf_hooks';
import type { Labels, Telemetry } from '../core/ports.ts';

export interface ProcessMetricsOptions {
  /** The gateway's version, for `mcp_gateway_build_info`. */
  readonly version: string;
  /** The event-loop delay is that of the last one to two windows. Default 15,000. */
  readonly windowMs?: number;
}

/** How often the event loop is probed; part of what the histogram measures, so it is taken off. */
const RESOLUTION_MS = 10;

const seconds = (nanoseconds: number): number => Math.max(0, nanoseconds / 1e6 - RESOLUTION_MS) / 1000;

/** Two histograms in turn, so that a reading covers between one and two windows whoever else reads. */
function openLoopDelay(windowMs: number) {
  const open = () => {
    const histogram = monitorEventLoopDelay({ resolution: RESOLUTION_MS });
    histogram.enable();
    return histogram;
  };
  let older = open();
  let newer = open();
  const timer = setInterval(() => {
    older.disable();
    older = newer;
    newer = open();
  }, windowMs).unref();
  return {
    *read(): Iterable<readonly [Labels, number]> {
      if (older.count === 0) return;
      yield [{ statistic: 'p50' }, seconds(older.percentile(50))];
      yield [{ statistic: 'p99' }, seconds(older.percentile(99))];
      yield [{ statistic: 'max' }, seconds(older.max)];
    },
    stop() {
      clearInterval(timer);
      older.disable();
      newer.disable();
    },
  };
}

/** Registers the process's own metrics. @returns ends the probing of the event loop */
export function registerProcessMetrics(telemetry: Telemetry, options: ProcessMetricsOptions): () => void {
  const delay = openLoopDelay(options.windowMs ?? 15_000);
  let utilization = performance.eventLoopUtilization();
  telemetry.gauge({ name: 'mcp_gateway_build_info', help: 'Version of the gateway and of Node.js; always 1.' }, () => [
    [{ version: options.version, node: process.versions.node }, 1],
  ]);
  telemetry.gauge(
    {
      name: 'mcp_gateway_event_loop_delay_seconds',
      help: 'Delay of the HTTP thread beyond its timers in the last window: median, 99th percentile, maximum.',
      unit: 's',
    },
    delay.read,
  );
  telemetry.gauge(
    {
      name: 'mcp_gateway_event_loop_utilization_ratio',
      help: 'Share of time since the previous reading in which the HTTP thread was busy.',
      unit: '1',
    },
    () => {
      const now = performance.eventLoopUtilization();
      const ratio = performance.eventLoopUtilization(now, utilization).utilization;
      utilization = now;
      return ratio;
    },
  );
  telemetry.observedCounter(
    { name: 'process_cpu_seconds_total', help: 'User and system CPU time of all threads.', unit: 's' },
    () => {
      const { user, system } = process.cpuUsage();
      return (user + system) / 1e6;
    },
  );
  telemetry.gauge({ name: 'process_resident_memory_bytes', help: 'Resident memory of the process.', unit: 'By' }, () =>
    process.memoryUsage.rss(),
  );
  telemetry.gauge(
    { name: 'mcp_gateway_heap_used_bytes', help: "V8 heap in use on the HTTP thread's isolate.", unit: 'By' },
    () => process.memoryUsage().heapUsed,
  );
  telemetry.gauge(
    { name: 'process_start_time_seconds', help: 'Start of the process, seconds since the Unix epoch.', unit: 's' },
    () => performance.timeOrigin / 1000,
  );
  return delay.stop;
}
