/** What `/readyz` says: whether metrics are taken, and every trouble by name. */
import type { Deliveries } from '../core/deliveries.ts';
import type { Journal } from '../core/journal.ts';
import type { Readiness } from '../http/dependencies.ts';
import type { OwedWrites } from '../sinks/sqlite/owed-writes.ts';

/**
 * Ready means that metrics are taken. A sink has to come up once; its later trouble is named and keeps nobody from
 * sending: the journal holds what it cannot take now.
 */
export function watchReadiness(
  journal: Journal,
  { all }: Deliveries,
  owed: OwedWrites,
): (stopping: boolean) => Readiness {
  const cameUp = new Set<string>();
  return (stopping) => {
    const problems: string[] = [];
    const trouble = journal.trouble();
    let ready = !stopping && trouble === undefined;
    if (stopping) problems.push('gateway: it is shutting down');
    if (trouble !== undefined) problems.push(`journal: ${trouble}`);
    const unwritten = owed.trouble();
    if (unwritten !== undefined) problems.push(`database: it cannot be written: ${unwritten}`);
    for (const delivery of all) {
      const { sink } = delivery;
      const health = sink.health?.() ?? { healthy: true };
      const failing = delivery.trouble();
      if (health.healthy) cameUp.add(sink.name);
      else problems.push(`${sink.name}: ${health.detail ?? 'not healthy'}`);
      if (!cameUp.has(sink.name)) ready = false;
      if (health.healthy && failing !== undefined)
        problems.push(`${sink.name}: writes have been failing for ${Math.round(failing.sinceMs / 1000)} s`);
    }
    return { ready, problems };
  };
}
