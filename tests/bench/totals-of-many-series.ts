/** Many histogram series, and how long one turn of the event loop takes: for the benchmarks of the readers. */
import { threadCpuMs } from './thread-clock.ts';
import { journalOf, type TestJournal } from '../sinks/otel/journal-of.ts';

/** Series × one observation each: `tools` × `servers` combinations of two labels. */
export function manySeries(series: number): TestJournal {
  const journal = journalOf();
  const perLabel = Math.ceil(Math.sqrt(series));
  const metrics = Array.from({ length: series }, (_, index) => ({
    type: 'tool_execution',
    value: 1,
    duration_ms: index % 1000,
    dimensions: {
      tool_name: `tool-${index % perLabel}`,
      server_name: `server-${Math.floor(index / perLabel)}`,
      success: true,
      method: 'tools/call',
      client_name: 'mcp-inspector',
    },
  }));
  for (let at = 0; at < metrics.length; at += 1000) {
    journal.append({ service: 'auth-server', metrics: metrics.slice(at, at + 1000) });
  }
  return journal;
}

/** The longest turn of the event loop while `work` ran, in milliseconds. */
export interface WorstTurn {
  readonly wallMs: number;
  /** CPU time of this thread alone: what the turn costs on a machine that has nothing else to do. */
  readonly cpuMs: number;
}

export async function worstTurn(work: () => Promise<void>): Promise<WorstTurn> {
  let [wallMs, cpuMs] = [0, 0];
  let [lastWall, lastCpu] = [performance.now(), threadCpuMs()];
  let running = true;
  const turn = (): void => {
    const [wall, used] = [performance.now(), threadCpuMs()];
    wallMs = Math.max(wallMs, wall - lastWall);
    cpuMs = Math.max(cpuMs, used - lastCpu);
    [lastWall, lastCpu] = [wall, used];
    if (running) setImmediate(turn);
  };
  setImmediate(turn);
  await work();
  running = false;
  return { wallMs, cpuMs };
}
