/** Does the clock tell a time that can be? */
import { diagnoseDatabase } from '../../sinks/sqlite/diagnose.ts';
import { type Check, fault, ok, warning } from './finding.ts';

/** This version was made then: a clock before it is wrong. */
const BUILT_AT = Date.UTC(2026, 10, 1);
const AHEAD_MS = 5 * 60_000;

export const checkClock: Check = ({ databasePath }) => {
  const now = Date.now();
  const time = new Date(now).toISOString();
  if (now < BUILT_AT)
    return fault(
      'clock',
      `${time} is before this version was made`,
      'set the clock (timedatectl set-ntp true): timestamps far from it are rejected',
    );
  const newest = diagnoseDatabase(databasePath, now).newestEventAt;
  if (newest !== undefined && newest > now + AHEAD_MS)
    return warning(
      'clock',
      `${time}, but the newest metric is of ${new Date(newest).toISOString()}`,
      'check the clock: it seems to have gone back',
    );
  return ok('clock', time);
};
