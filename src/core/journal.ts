/** The journal as a port: an ordered, durable log of accepted batches. Implementations in src/journal. */

/** What the buffer hands in: both parts are opaque to the journal. */
export interface JournalEntry {
  readonly envelope: Uint8Array;
  readonly payload: Uint8Array;
  /** Metrics that this entry accounts for; 0 or more. */
  readonly metrics: number;
}

/** An entry with its place in the order. */
export interface JournalRecord extends JournalEntry {
  /** 1, 2, 3 … without gaps, over restarts too. */
  readonly sequence: number;
  /** Metrics in all records up to and with this one since the journal began: its place in the order of metrics. */
  readonly count: number;
}

/** A place in a journal: everything up to and with `sequence`, which is `count` metrics. */
export interface Position {
  readonly sequence: number;
  readonly count: number;
}

/**
 * How far a sink has come. `count` may lie beyond the record `sequence` ends with: then the first
 * `count - (that record's count)` metrics of the next record are done as well.
 */
export interface Checkpoint extends Position {
  readonly journalId: string;
}

export interface ReadLimit {
  /** At least one record is returned however large it is. */
  readonly maxBytes: number;
  readonly maxMetrics: number;
}

/** What was found at open; zero everywhere for a clean start. */
export interface JournalRecovery {
  /** True when no journal was there and a new one, with a new id, was begun. */
  readonly created: boolean;
  readonly records: number;
  readonly metrics: number;
  /** Metrics in records that can no longer be read, counted from the neighbours' headers. */
  readonly lostMetrics: number;
  /** Bytes cut off or skipped: an unfinished last write looks the same as a damaged one. */
  readonly damagedBytes: number;
  readonly durationMs: number;
}

export interface Journal {
  /** Random, made when the journal is begun; a checkpoint of another id does not fit. */
  readonly id: string;
  readonly recovery: JournalRecovery;
  /** The position before the oldest record that can still be read. */
  readonly tail: () => Position;
  /** The last durable record's position. */
  readonly head: () => Position;
  /**
   * Appends in the order of calls and resolves once the record is on disk. From then on the caller may write over the
   * entry's bytes: a journal that keeps them copies them.
   * @throws Refusal `overloaded` when the journal is full or cannot be written; nothing of the entry remains then
   */
  readonly append: (entry: JournalEntry) => Promise<JournalRecord>;
  /**
   * Records after `sequence`, in order; empty at the head. A damaged or trimmed stretch is passed over: the reader
   * sees it as a jump of `count` beyond the next record's own metrics. Empty means that nothing between `after` and the
   * head (as it was at the call) can be read: the reader may go on from there.
   */
  readonly read: (after: number, limit: ReadLimit) => Promise<readonly JournalRecord[]>;
  /** Frees what lies up to and with `sequence`, segment by segment. */
  readonly trim: (through: number) => Promise<void>;
  /** Bytes held, and the limit. */
  readonly size: () => { readonly bytes: number; readonly maxBytes: number };
  /** Undefined while the journal can be written; else what is wrong. */
  readonly trouble: () => string | undefined;
  /** Waits for appends under way, then closes. */
  readonly close: () => Promise<void>;
}
