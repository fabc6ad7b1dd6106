import t from 'tap';
import { MEMORY_BOUND_BYTES, overloadRun } from './overload-run.ts';
import { folderOf } from '../support/folder.ts';

/** A minute unless `OVERLOAD_SECONDS` says otherwise. */
const SECONDS = Number(process.env['OVERLOAD_SECONDS'] ?? 60);
t.setTimeout(SECONDS * 1000 + 300_000);

t.test('overload', { timeout: SECONDS * 1000 + 280_000 }, async (t) => {
  const result = await overloadRun(folderOf(t), SECONDS);
  t.comment(
    `${JSON.stringify(result.statuses)}; p99 of the accepted ${Math.round(result.p99)} ms; at most ${Math.round(result.highestMemory / 1024 / 1024)} MiB; ${result.skipped} skipped; ${result.scrapes} scrapes`,
  );
  t.same(result.surprises, [], 'every answer is 200, 429 or 503');
  t.ok((result.statuses['503'] ?? 0) > 0, 'the journal was full');
  t.equal(result.statuses['0'] ?? 0, 0, 'every request was answered');
  t.ok(result.p99 < 1000, 'accepted requests take less than a second');
  t.ok(result.highestMemory < MEMORY_BOUND_BYTES, 'memory stays under the bound of docs/guarantees.md');
  t.same(result.imbalances, [], 'the books balance at every scrape');
  t.equal(result.refusingSkipped, false, 'a sink that refuses skips nothing');
  t.ok(result.skipped > 0, 'one that may skip does, and counts it');
  t.ok(result.healed, 'it heals by itself');
  t.same({ lost: result.lost, doubled: result.doubled }, { lost: [], doubled: [] });
  t.same(result.totals, result.stored);
});
