/** A server under as much load as it takes: what it answered, and what each of its threads used for it. */
import { type LoadOptions, saturate, type Saturated, type Target } from './load.ts';
import { type CpuByThread, mainOf, othersOf, spent, threadTimes } from './thread-cpu.ts';

export interface Server extends Target {
  readonly name: string;
  readonly pid: number;
}

export interface Measured extends Saturated {
  readonly metrics: number;
  /** Nanoseconds while the load went on. */
  readonly cpu: CpuByThread;
  /** Microseconds of the main thread per metric. */
  readonly mainCpu: number;
  /** Of all other threads together: cores kept busy. */
  readonly otherCores: number;
  readonly perSecond: number;
}

/** @throws Error where a request was refused or failed, or none was answered */
export async function measureSaturated(server: Server, load: LoadOptions): Promise<Measured> {
  const before = threadTimes(server.pid);
  const result = await saturate(server, load);
  const cpu = spent(before, threadTimes(server.pid));
  if (result.failed > 0 || result.refused > 0 || result.ok === 0) {
    throw new Error(
      `${server.name}: ${result.refused} requests refused, ${result.failed} failed, ${result.ok} answered`,
    );
  }
  const metrics = result.ok * load.metrics;
  return {
    ...result,
    metrics,
    cpu,
    mainCpu: mainOf(cpu) / 1000 / metrics,
    otherCores: othersOf(cpu) / 1e9 / result.seconds,
    perSecond: result.ok / result.seconds,
  };
}
