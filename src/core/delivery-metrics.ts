/** The books of every sink: at any instant `accepted + recovered = delivered + queued + set aside + skipped`. */
import type { Delivery } from './delivery.ts';
import type { Journal } from './journal.ts';
import type { Labels, Telemetry } from './ports.ts';
import type { Totals } from './totals.ts';

interface Row {
  readonly sink: string;
  readonly recovered: number;
  readonly delivered: number;
  readonly queued: number;
  readonly setAside: number;
  readonly skipped: number;
  readonly ageSeconds: number;
}

/** Adds the metrics of `deliveries`, also of those pushed later; returns what records a write. */
export function registerDeliveryMetrics(
  telemetry: Telemetry,
  journal: Journal,
  deliveries: readonly Delivery[],
): (sink: string, durationMs: number, failed: boolean) => void {
  const headAtStart = journal.head().count;

  /** Readers of the totals count as sinks of their own: what each has shown is known to the totals. */
  const rows = (): Row[] =>
    deliveries.flatMap((delivery) => {
      const { delivered, recovered, setAside, skipped } = delivery.counts();
      const row = { recovered, setAside, skipped, ageSeconds: delivery.queueAgeMs() / 1000 };
      const readers = (delivery.sink as Partial<Totals>).delivered?.();
      if (readers === undefined) return [{ ...row, sink: delivery.sink.name, delivered, queued: delivery.queued() }];
      const reached = delivery.position().count;
      return [...readers].map(([sink, through]) => {
        const shown = Math.max(0, Math.min(delivered, delivered - (reached - through)));
        return { ...row, sink, delivered: shown, queued: delivery.queued() + delivered - shown };
      });
    });

  const observe = (
    kind: 'gauge' | 'observedCounter',
    name: string,
    help: string,
    unit: string,
    read: (row: Row) => number,
  ): void =>
    telemetry[kind]({ name: `mcp_gateway_sink_${name}`, help, unit }, () =>
      rows().map((row): readonly [Labels, number] => [{ sink: row.sink }, read(row)]),
    );
  observe(
    'observedCounter',
    'accepted_total',
    'Metrics accepted for this sink since the gateway started.',
    '{metric}',
    () => journal.head().count - headAtStart,
  );
  observe(
    'gauge',
    'recovered',
    'Metrics that waited for this sink in the journal when the gateway started.',
    '{metric}',
    (row) => row.recovered,
  );
  observe(
    'observedCounter',
    'delivered_total',
    'Metrics that this sink has taken.',
    '{metric}',
    (row) => row.delivered,
  );
  observe('gauge', 'queued', 'Metrics that wait for this sink.', '{metric}', (row) => row.queued);
  observe(
    'observedCounter',
    'set_aside_total',
    'Metrics that this sink can never take, kept for inspection.',
    '{metric}',
    (row) => row.setAside,
  );
  observe(
    'observedCounter',
    'skipped_total',
    'Metrics passed over because the journal no longer held them.',
    '{metric}',
    (row) => row.skipped,
  );
  observe(
    'gauge',
    'queue_age_seconds',
    'How long the oldest metric that waits for this sink has waited.',
    's',
    (row) => row.ageSeconds,
  );

  const bySink = (
    kind: 'gauge' | 'observedCounter',
    name: string,
    help: string,
    read: (delivery: Delivery) => number,
  ): void =>
    telemetry[kind]({ name: `mcp_gateway_sink_${name}`, help, unit: '{metric}' }, () =>
      deliveries.map((delivery): readonly [Labels, number] => [{ sink: delivery.sink.name }, read(delivery)]),
    );
  bySink('gauge', 'set_aside_held', 'Metrics that are set aside now, from earlier starts too.', ({ setAside }) =>
    setAside.size(),
  );
  bySink(
    'observedCounter',
    'set_aside_discarded_total',
    'Metrics that were set aside and thrown away since more than the limit were.',
    ({ setAside }) => setAside.discarded(),
  );
  bySink(
    'observedCounter',
    'redriven_total',
    'Metrics that were set aside, and taken when they were driven again.',
    ({ counts }) => counts().redriven,
  );
  telemetry.gauge(
    {
      name: 'mcp_gateway_sink_failing_seconds',
      help: 'How long writes to this sink have been failing; 0 while they succeed.',
      unit: 's',
    },
    () =>
      deliveries.map((delivery): readonly [Labels, number] => [
        { sink: delivery.sink.name },
        (delivery.trouble()?.sinceMs ?? 0) / 1000,
      ]),
  );

  const failures = telemetry.counter({
    name: 'mcp_gateway_sink_write_failures_total',
    help: 'Writes that failed; each is tried again.',
    unit: '{write}',
  });
  const durations = telemetry.histogram({
    name: 'mcp_gateway_sink_write_duration_seconds',
    help: 'Duration of one write to a sink.',
    unit: 's',
  });
  return (sink, durationMs, failed) => {
    durations.record(durationMs / 1000, { sink });
    if (failed) failures.add(1, { sink });
  };
}
