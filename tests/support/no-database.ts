/** Retention and history where a test has no database: whatever asks them fails. */
import type { History } from '../../src/sinks/sqlite/history.ts';
import type { Retention } from '../../src/sinks/sqlite/retention.ts';

const missing = () => Promise.reject(new Error('this test has no database'));

export const NO_RETENTION: Retention = {
  applyDefaults: missing,
  policies: missing,
  update: missing,
  keptDays: () => 90,
  preview: missing,
  cleanup: missing,
  stats: missing,
  size: missing,
};

export const NO_HISTORY: History = {
  answer: missing,
  lines: async function* () {
    yield await missing();
  },
};
