/** The journal's own metrics: `mcp_gateway_journal_*`. */
import type { JournalRecovery } from '../core/journal.ts';
import type { Telemetry } from '../core/ports.ts';

export interface JournalMetrics {
  /** A group became durable. */
  readonly committed: (durationMs: number, records: number, bytes: number) => void;
  readonly failed: () => void;
}

export interface JournalMetricsSource {
  readonly recovery: JournalRecovery;
  readonly size: () => { readonly bytes: number; readonly maxBytes: number };
}

/** Seconds: from a write into a cache of the device to a disk that is struggling. */
const COMMIT_BOUNDARIES = [
  0.000_1, 0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5,
];

/** @param telemetry undefined counts nothing */
export function registerJournalMetrics(
  telemetry: Telemetry | undefined,
  { recovery, size }: JournalMetricsSource,
): JournalMetrics {
  if (telemetry === undefined) return { committed: () => {}, failed: () => {} };
  const prefix = 'mcp_gateway_journal';
  telemetry.gauge({ name: `${prefix}_bytes`, unit: 'By', help: 'Bytes that the journal holds.' }, () => size().bytes);
  telemetry.gauge(
    {
      name: `${prefix}_max_bytes`,
      unit: 'By',
      help: 'Bytes that the journal may hold; at the limit requests get 503.',
    },
    () => size().maxBytes,
  );
  telemetry.gauge(
    {
      name: `${prefix}_recovered_metrics`,
      unit: '{metric}',
      help: 'Metrics that could be read when the journal was opened.',
    },
    () => recovery.metrics,
  );
  telemetry.gauge(
    {
      name: `${prefix}_lost_metrics`,
      unit: '{metric}',
      help: 'Metrics in damaged records between readable ones when the journal was opened.',
    },
    () => recovery.lostMetrics,
  );
  telemetry.gauge(
    {
      name: `${prefix}_damaged_bytes`,
      unit: 'By',
      help: 'Bytes that could not be read when the journal was opened; an unfinished last write is among them.',
    },
    () => recovery.damagedBytes,
  );
  const durations = telemetry.histogram(
    {
      name: `${prefix}_commit_duration_seconds`,
      unit: 's',
      help: 'From the start of a write to the moment it was on disk, for one group of requests.',
    },
    COMMIT_BOUNDARIES,
  );
  const records = telemetry.counter({
    name: `${prefix}_records_total`,
    unit: '{record}',
    help: 'Records (one per accepted request) made durable since the start.',
  });
  const bytesWritten = telemetry.counter({
    name: `${prefix}_written_bytes_total`,
    unit: 'By',
    help: 'Bytes of records made durable since the start.',
  });
  const failures = telemetry.counter({
    name: `${prefix}_write_failures_total`,
    help: 'Writes that the disk failed; every request in them was refused.',
  });
  return {
    committed: (durationMs, count, bytes) => {
      durations.record(durationMs / 1000);
      records.add(count);
      bytesWritten.add(bytes);
    },
    failed: () => failures.add(),
  };
}
