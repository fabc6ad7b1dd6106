/** What a start owes the database: written at once, or as soon as that is possible. */
import t from 'tap';
import { createOwedWrites } from '../../../src/sinks/sqlite/owed-writes.ts';
import { silentLog } from '../../support/silent-log.ts';
import { virtualClock } from '../../support/virtual-clock.ts';

const locked = (): Error => Object.assign(new Error('database is locked'), { code: 'SQLITE_BUSY' });

t.test('what cannot be written now is tried again each second until it is', async (t) => {
  const clock = virtualClock();
  const owed = createOwedWrites({ log: silentLog, clock });
  let attempts = 0;
  await owed.write('policies', async () => {
    attempts += 1;
    if (attempts < 4) throw locked();
  });
  t.equal(owed.trouble(), 'database is locked');
  await clock.advance(2999);
  t.equal(attempts, 3);
  await clock.advance(1);
  t.equal(attempts, 4);
  t.equal(owed.trouble(), undefined);
  await clock.advance(10_000);
  t.equal(attempts, 4, 'and no more');
});

t.test('nothing is tried any more once it is stopped', async (t) => {
  const clock = virtualClock();
  const owed = createOwedWrites({ log: silentLog, clock });
  let attempts = 0;
  await owed.write('policies', async () => {
    attempts += 1;
    throw locked();
  });
  owed.stop();
  await clock.advance(10_000);
  t.equal(attempts, 1);
});

t.test('an error that no waiting mends is the caller’s', async (t) => {
  const owed = createOwedWrites({ log: silentLog, clock: virtualClock() });
  await t.rejects(
    owed.write('policies', () => Promise.reject(new Error('no such table'))),
    /no such table/,
  );
  t.equal(owed.trouble(), undefined);
});
