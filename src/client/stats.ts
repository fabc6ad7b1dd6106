/** The client's own books. At any moment: recorded = accepted + rejected + all of dropped + queued + inFlight. */

export interface ClientStats {
  /** Metrics handed to an enabled client. */
  recorded: number;
  /** In the gateway. */
  accepted: number;
  /** Turned away by the gateway one by one, as invalid. */
  rejected: number;
  dropped: {
    /** The oldest, when the buffer was full. */
    overflow: number;
    /** In requests that the gateway refused as wrong (400, 413, 415, 422), or that grew too old to retry safely. */
    refused: number;
    /** Not a metric: not serialisable, or its value no number. */
    invalid: number;
    /** Left at the end of `shutdown`, or recorded after it. */
    shutdown: number;
  };
  /** Waiting in the buffer. */
  queued: number;
  /** In a request that is not settled: on its way, or waiting for its next try. */
  inFlight: number;
  /** HTTP requests sent, and those of them that are to be sent again. */
  requests: number;
  retries: number;
}

export const newStats = (): ClientStats => ({
  recorded: 0,
  accepted: 0,
  rejected: 0,
  dropped: { overflow: 0, refused: 0, invalid: 0, shutdown: 0 },
  queued: 0,
  inFlight: 0,
  requests: 0,
  retries: 0,
});
