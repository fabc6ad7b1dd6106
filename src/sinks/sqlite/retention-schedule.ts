/** Runs the cleanup by the clock on the wall. */
import { Cron } from 'croner';
import type { Clock, Log } from '../../core/ports.ts';
import type { CleanupReport } from './cleanup.ts';
import type { Retention } from './retention.ts';

export interface CleanupScheduleOptions {
  readonly retention: Retention;
  readonly log: Log;
  readonly clock: Clock;
  /** Cron pattern, in UTC. Default `17 * * * *`: each hour, so that little is due at a time. */
  readonly pattern?: string;
}

export interface CleanupSchedule {
  /** When it runs next, milliseconds since the Unix epoch. */
  readonly next: () => number | undefined;
  /** Cancels a run under way between two slices, and waits for it. */
  readonly stop: () => Promise<void>;
}

/** @throws TypeError for a pattern that is none */
export function startCleanupSchedule({
  retention,
  log,
  clock,
  pattern = '17 * * * *',
}: CleanupScheduleOptions): CleanupSchedule {
  const cancel = new AbortController();
  let running = Promise.resolve();

  const run = async (): Promise<void> => {
    try {
      report(await retention.cleanup({ now: clock.now(), signal: cancel.signal }));
    } catch (error) {
      log.warn({ error: String(error) }, 'the cleanup failed; what is due goes with the next one');
    }
  };
  const report = ({ totalDeleted, durationSeconds, longestHoldMs, cancelled }: CleanupReport): void => {
    if (totalDeleted === 0) return;
    const holdMs = Math.round(longestHoldMs * 10) / 10;
    log.info(
      { rows: totalDeleted, durationSeconds, longestHoldMs: holdMs, cancelled },
      'rows beyond retention removed',
    );
  };
  // Not `timezone: 'UTC'`: that loads the data of all time zones, which takes 40 ms of every start.
  const cron = new Cron(pattern, { utcOffset: 0, unref: true, protect: true }, () => {
    running = run();
    return running;
  });
  return {
    next: () => cron.nextRun()?.getTime(),
    stop: async () => {
      cron.stop();
      cancel.abort();
      await running;
    },
  };
}
