/** The trouble that a delivery is in: said once in the log when it begins and when it ends, and counted in between. */
import type { Clock, Log } from '../ports.ts';

/** The last failure, until a write succeeds. */
export interface Failing {
  readonly message: string;
  /** Attempts in a row that failed. */
  readonly failures: number;
  /** Milliseconds since the first of them. */
  readonly sinceMs: number;
}

export interface Trouble {
  readonly now: () => Failing | undefined;
  /** One more attempt failed. @returns how many have in a row */
  readonly failed: (error: unknown) => number;
  /** Reading the journal or writing the set-aside folder failed: an outage of the disk, not of the sink. */
  readonly failedOutside: (error: unknown) => number;
  /** An attempt has had no answer in its time; it has not ended yet, so it is not counted. */
  readonly late: (error: Error) => void;
  /** The sink has taken a batch. */
  readonly over: () => void;
  /** What failed is not tried again: the sink has said that it never takes it, or stands elsewhere. */
  readonly forget: () => void;
}

export interface TroubleOptions {
  readonly sink: string;
  readonly queued: () => number;
  readonly clock: Clock;
  readonly log: Log;
}

export const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));

export function createTrouble({ sink, queued, clock, log }: TroubleOptions): Trouble {
  let failures = 0;
  let last: { readonly message: string; readonly since: number } | undefined;

  const note = (error: unknown, tell: () => void): void => {
    if (last === undefined) tell();
    last = { message: messageOf(error), since: last?.since ?? clock.monotonic() };
  };
  const noteOfSink = (error: unknown): void =>
    note(error, () =>
      log.warn({ sink, err: error, queued: queued() }, 'the sink failed; its metrics wait and are tried again'),
    );
  const forget = (): void => {
    failures = 0;
    last = undefined;
  };

  return {
    now: () => last && { message: last.message, failures, sinceMs: clock.monotonic() - last.since },
    failed: (error) => {
      noteOfSink(error);
      return (failures += 1);
    },
    failedOutside: (error) => {
      note(error, () => log.error({ sink, err: error }, 'the delivery failed outside the sink; it tries again'));
      return (failures += 1);
    },
    late: noteOfSink,
    over: () => {
      if (last !== undefined) log.info({ sink, failures, queued: queued() }, 'the sink takes metrics again');
      forget();
    },
    forget,
  };
}
