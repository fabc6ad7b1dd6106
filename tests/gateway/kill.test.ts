/** The kill run in its short form; tests/fault has the long one. */
import t from 'tap';
import { killRun } from '../fault/kill-run.ts';

t.test('nothing acknowledged is lost or counted twice over 4 kills', { timeout: 120_000 }, async (t) => {
  const result = await killRun({ kills: 4 });
  t.ok(result.acknowledged > 0, 'the load got through');
  t.match(result, { lost: [], doubled: [], imbalances: [], surprises: [] });
  t.same(result.totals, result.stored, 'the totals count what SQLite holds');
});
