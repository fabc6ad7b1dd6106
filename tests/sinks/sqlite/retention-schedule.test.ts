/** The scheduled cleanup: runs by its pattern, says what it did, and stops when told. */
import { join } from 'node:path';
import t from 'tap';
import { startCleanupSchedule } from '../../../src/sinks/sqlite/retention-schedule.ts';
import { openStore } from '../../../src/sinks/sqlite/store.ts';
import { eventually, memoryLog, recorder, settableClock } from './harness.ts';
import { folderOf } from '../../support/folder.ts';

t.test('rows beyond retention go by themselves', async (t) => {
  const log = memoryLog();
  const clock = settableClock(Date.UTC(2026, 10, 22));
  const store = await openStore(join(folderOf(t), 'metrics.db'), { log });
  t.teardown(() => store.close());
  await store.retention.applyDefaults(1, clock.now());
  const { record, end } = recorder();
  const metrics = [{ type: 'custom', value: 1, timestamp: '2026-11-20T00:00:00Z', dimensions: { metric_name: 'm' } }];
  await store.write([record({ service: 's', metrics })], end());
  const schedule = startCleanupSchedule({ retention: store.retention, log, clock, pattern: '* * * * * *' });
  t.ok(Number(schedule.next()) - Date.now() <= 1000);
  await eventually(
    () => log.lines.find(({ message }) => /beyond retention removed/.test(message)),
    'the cleanup',
    30_000,
  );
  await schedule.stop();
  t.equal((await store.retention.stats()).metrics.record_count, 0);
  t.equal(schedule.next(), undefined);
});

t.test('it runs each hour unless told otherwise; a pattern that is none is refused', async (t) => {
  const store = await openStore(join(folderOf(t), 'metrics.db'), { log: memoryLog() });
  t.teardown(() => store.close());
  const options = { retention: store.retention, log: memoryLog(), clock: settableClock(0) };
  const schedule = startCleanupSchedule(options);
  t.equal(new Date(schedule.next()!).getUTCMinutes(), 17);
  await schedule.stop();
  t.throws(() => startCleanupSchedule({ ...options, pattern: 'every now and then' }), { name: 'TypeError' });
});
