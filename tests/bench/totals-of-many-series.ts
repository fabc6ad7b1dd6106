/** Many histogram series, and how long one turn of the event loop takes: for the benchmarks of the readers. */
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

/** The longest time that the event loop took for one turn while `work` ran. */
export async function worstTurn(work: () => Promise<void>): Promise<number> {
  let worst = 0;
  let last = performance.now();
  let running = true;
  const turn = (): void => {
    const now = performance.now();
    worst = Math.max(worst, now - last);
    last = now;
    if (running) setImmediate(turn);
  };
  setImmediate(turn);
  await work();
  running = false;
  return worst;
}
