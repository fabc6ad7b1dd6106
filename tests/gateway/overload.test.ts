/** The overload run in its short form; tests/fault has the long one. */
import t from 'tap';
import { MEMORY_BOUND_BYTES, overloadRun } from '../fault/overload-run.ts';
import { folderOf } from '../support/folder.ts';

t.test(
  'overload: refused with 503, nothing half-accepted, bounded, and over by itself',
  { timeout: 150_000 },
  async (t) => {
    const result = await overloadRun(folderOf(t), 2);
    t.ok((result.statuses['503'] ?? 0) > 0, 'the journal was full');
    t.ok(result.highestMemory < MEMORY_BOUND_BYTES);
    t.match(result, { surprises: [], imbalances: [], healed: true, lost: [], doubled: [], refusingSkipped: false });
    t.same(result.totals, result.stored);
  },
);
