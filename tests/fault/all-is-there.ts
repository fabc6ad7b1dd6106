/** What every fault test asks at its end. */
import type { Test } from 'tap';
import type { RunningGateway } from '../support/gateway.ts';
import type { Load } from '../support/load.ts';
import { compareStored, settledScrape, totalsOf } from '../support/stored.ts';

/** Whatever happened: what was acknowledged is there once, the totals say the same, the books balance. */
export async function allIsThere(t: Test, gateway: RunningGateway, load: Load): Promise<void> {
  const page = await settledScrape(gateway, 60_000);
  const { lost, doubled, stored } = compareStored(gateway.databasePath, load.acknowledged());
  t.same({ lost, doubled }, { lost: [], doubled: [] }, `${load.acknowledged().size} acknowledged ids are there once`);
  t.same(totalsOf(page, Object.keys(stored)), stored, 'the totals say the same');
  t.same(load.surprises(), [], 'no answers but 200, 429 and 503');
}
