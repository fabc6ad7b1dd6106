/** A folder for one test, there until everything that the test opened in it is closed. */
import type { Test } from 'tap';

type Content = NonNullable<Parameters<Test['testdir']>[0]>;

/** As `t.testdir`, which alone is removed before those teardowns run that were added after it. @returns its path */
export function folderOf(t: Test, content: Content = {}): string {
  t.teardown(() => undefined);
  return t.testdir(content);
}
