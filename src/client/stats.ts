/** The client's own books. At any moment: recorded = accepted + rejected + all of dropped + queued + inFlight. */

export interface ClientStats {
  /** Metrics handed to an enabled client. */
  readonly recorded: number;
  /** In the gateway. */
  readonly accepted: number;
  /** Turned away by the gateway one by one, as invalid. */
  readonly rejected: number;
  readonly dropped: {
    /** The oldest, when the buffer was full. */
    readonly overflow: number;
    /** In requests that the gateway refused as wrong (400, 413, 415, 422), or that grew too old to retry safely. */
    readonly refused: number;
    /** Not a metric: not serialisable, or its value no number. */
    readonly invalid: number;
    /** Left at the end of `shutdown`, or recorded after it. */
    readonly shutdown: number;
  };
  /** Waiting in the buffer. */
  readonly queued: number;
  /** In a request that is not settled: on its way, or waiting for its next try. */
  readonly inFlight: number;
  /** HTTP requests sent, and those of them that are to be sent again. */
  readonly requests: number;
  readonly retries: number;
}
