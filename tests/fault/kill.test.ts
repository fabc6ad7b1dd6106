import t from 'tap';
import { killRun } from './kill-run.ts';

/** How often the gateway is killed; 200 unless `KILLS` says otherwise. */
const KILLS = Number(process.env['KILLS'] ?? 200);

t.test(
  `nothing acknowledged is lost or counted twice over ${KILLS} kills`,
  { timeout: KILLS * 6000 + 60_000 },
  async (t) => {
    const result = await killRun({ kills: KILLS });
    t.comment(`${result.acknowledged} ids acknowledged; ${result.killsBeforeReady} kills before the gateway was ready`);
    t.ok(result.acknowledged > KILLS, 'the load got through');
    t.same(result.lost, [], 'every acknowledged id is in SQLite');
    t.same(result.doubled, [], 'no id is in SQLite twice');
    t.same(result.totals, result.stored, 'the totals count what SQLite holds');
    t.same(result.imbalances, [], 'the books balance');
  },
);
