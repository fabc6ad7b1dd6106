/** Ends of what a test opened, the latest first. tap removes a test's folder before the teardowns that were added after it. */
import type { Test } from 'tap';

/** Call it before `t.testdir`: then files are closed before their folder goes. @returns the way to add an end */
export function endsOf(t: Test): (end: () => unknown) => void {
  const ends: (() => unknown)[] = [];
  t.teardown(async () => {
    for (const end of ends.toReversed()) await end();
  });
  return (end) => ends.push(end);
}
