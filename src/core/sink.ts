/** Where batches end: the interface of sinks, and what their delivery hands them. */
import type { Checkpoint, JournalRecord } from './journal.ts';
import type { DimensionValue, MetricEvent } from './metric.ts';
import type { Clock, Log, Telemetry } from './ports.ts';
import type { TotalsFactory } from './totals.ts';

/** An accepted event with all that is known of it. */
export interface DeliveredEvent extends MetricEvent {
  /** The same at every attempt and after every restart: use it to drop duplicates. */
  readonly id: string;
  readonly requestId: string;
  /** Milliseconds since the Unix epoch. */
  readonly receivedAt: number;
  readonly service: string;
  readonly serviceVersion?: string;
  readonly instanceId?: string;
  /** The service that the API key belongs to. */
  readonly keyService: string;
  /** What `enrich` added. */
  readonly resourceAttributes: Readonly<Record<string, DimensionValue>>;
}

/** A record of the journal, or the part of it that this delivery is about. */
export interface DeliveredRecord extends JournalRecord {
  /** The first and the one-past-last of the record's accepted events that belong to this batch. */
  readonly from: number;
  readonly to: number;
}

export interface DeliveredBatch {
  /** In the journal's order, as bytes: cheap to hand to a worker. Decode with `readRecord`. */
  readonly records: readonly DeliveredRecord[];
  /** The same, decoded on first access. */
  readonly events: readonly DeliveredEvent[];
  /** Number of events, without decoding. */
  readonly metrics: number;
  /** The place that the sink has reached once this batch is written. Store it in the same transaction: exactly once. */
  readonly checkpoint: Checkpoint;
  /**
   * The events lie before a checkpoint that the sink has reached already, and were left out then: once set aside, or
   * passed over while a culprit was looked for. A sink that drops what lies before its checkpoint must take these.
   */
  readonly late?: boolean;
}

/** Thrown by a sink for data that it can never take. Every other error is an outage and is retried for ever. */
export class Unacceptable extends Error {
  override readonly name = 'Unacceptable';
}

/**
 * Thrown by a sink that lost what it had taken since its checkpoint (its thread crashed, say): the delivery goes back
 * to `checkpoint` and reads the journal from there.
 */
export class Rewind extends Error {
  override readonly name = 'Rewind';
  /** Everything up to here is still held; undefined: nothing is, all that the journal holds comes again. */
  readonly checkpoint: Checkpoint | undefined;

  constructor(message: string, checkpoint: Checkpoint | undefined) {
    super(message);
    this.checkpoint = checkpoint;
  }
}

export interface Batching {
  /** A batch is handed over once it holds this many metrics … */
  readonly maxMetrics?: number;
  /** … or once its oldest metric has waited so long. */
  readonly maxDelayMs?: number;
}

export interface SinkContext {
  readonly log: Log;
  readonly clock: Clock;
  readonly telemetry: Telemetry;
  /** Where the gateway keeps its files; a sink may make a folder of its own in it. */
  readonly dataDirectory: string;
  /** The same as throwing a `Rewind`, for a sink that finds its loss while nothing is being written. */
  readonly rewind?: (rewind: Rewind) => void;
}

export interface SinkHealth {
  readonly healthy: boolean;
  readonly detail?: string;
}

/**
 * A destination of its own pace. `write` is never called twice at a time, and always in the journal's order. It
 * resolves once the batch is safe; it rejects with `Unacceptable` for data it can never take and with anything else for
 * an outage, after which the same batch comes again.
 */
export interface Sink {
  readonly name: string;
  /** When the journal cannot hold this sink's backlog any longer: refuse new requests (503), or skip ahead and count. */
  readonly whenFull: 'refuse' | 'skip';
  readonly batching?: Batching;
  /** False leaves the sink out as if it were not configured. Default true. */
  readonly enabled?: boolean;
  readonly write: (batch: DeliveredBatch, signal: AbortSignal) => Promise<void>;
  /** Opens what the sink needs. Throw for what no retry mends: the gateway does not start then. Connect in `write`. */
  readonly start?: (context: SinkContext) => Promise<void>;
  readonly stop?: () => Promise<void>;
  /** A sink that stores the checkpoint itself says here how far it has come; asked once, after `start`. */
  readonly checkpoint?: () => Promise<Checkpoint | undefined>;
  /**
   * True for a sink with a checkpoint of its own whose `write` takes `late` batches whatever the checkpoint says. Without
   * it such a sink is never handed one, and what was set aside for it stays there.
   */
  readonly takesLate?: boolean;
  /**
   * True for a sink that looks at neither `records` nor `events` once its `write` has settled: their memory is used again
   * then. Without it the garbage collector frees them, which costs more CPU.
   */
  readonly releasesRecords?: boolean;
  /**
   * Told once, after `checkpoint` and before the first write: where the delivery goes on, and where the journal ends
   * then. A sink that shows a state is current once it has come to `end`.
   */
  readonly resume?: (from: Checkpoint, end: Checkpoint) => void;
  /** How far the journal may be trimmed for this sink; absent, its checkpoint. Undefined: not at all. */
  readonly trimmable?: () => Checkpoint | undefined;
  readonly health?: () => SinkHealth;
}

/** Reads the totals (counters and histograms over all events) instead of taking batches: `prometheus()`, `otlp()`. */
export interface TotalsReader {
  readonly kind: 'totals-reader';
  readonly name: string;
  readonly enabled?: boolean;
  /** Plain data: it crosses to the thread that keeps the totals. */
  readonly settings: object;
  /** Builds the one sink that keeps the totals for all readers. */
  readonly openTotals: TotalsFactory;
}

export type AnySink = Sink | TotalsReader;
