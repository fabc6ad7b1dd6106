/**
 * What a start writes to the database. Where another process holds the lock, or the disk is full, the start goes on
 * and the write is owed: it is tried again until it succeeds.
 */
import type { Clock, Log, Timer } from '../../core/ports.ts';

export interface OwedWrites {
  /**
   * Resolves once the work is done, or owed.
   * @throws what it throws for which no waiting helps
   */
  readonly write: (what: string, work: () => Promise<unknown>) => Promise<void>;
  /** What keeps the database from being written; undefined while nothing is owed. */
  readonly trouble: () => string | undefined;
  readonly stop: () => void;
}

const RETRY_MS = 1000;

/** Errors that pass when another process lets go, or the disk has room again. */
export const isPassing = (error: unknown): boolean => {
  const { code } = error as { code?: unknown };
  return typeof code === 'string' && /^(?:SQLITE_(?:BUSY|LOCKED|FULL|IOERR|PROTOCOL)|ENOSPC|EDQUOT)/.test(code);
};

export function createOwedWrites({ log, clock }: { readonly log: Log; readonly clock: Clock }): OwedWrites {
  const owed = new Map<string, string>();
  const timers = new Map<string, Timer>();
  let stopped = false;

  const write: OwedWrites['write'] = async (what, work) => {
    try {
      await work();
      if (owed.delete(what)) log.info({ what }, 'the database can be written again; what was owed to it is there');
    } catch (error) {
      if (stopped) return;
      if (!isPassing(error)) throw error;
      if (!owed.has(what))
        log.warn({ what, err: error }, 'the database cannot be written now; this is written once it can');
      owed.set(what, (error as Error).message);
      timers.set(
        what,
        clock.after(RETRY_MS, () => {
          write(what, work).catch((failure: unknown) => {
            log.error({ what, err: failure }, 'this can never be written to the database');
          });
        }),
      );
    }
  };

  return {
    write,
    trouble: () => owed.values().next().value,
    stop: () => {
      stopped = true;
      for (const timer of timers.values()) timer.cancel();
    },
  };
}
