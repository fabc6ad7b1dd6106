import { join } from 'node:path';
import t from 'tap';
import { auth } from '../../src/processors/auth.ts';
import { openKeyStore } from '../../src/sinks/sqlite/key-store.ts';
import { createLog } from '../../src/telemetry/log.ts';
import { systemClock } from '../../src/telemetry/system-clock.ts';
import { testContext } from '../processors/context.ts';
import { endsOf } from '../support/ends.ts';
import { folderOf } from '../support/folder.ts';

const CALLS = 2000;

t.test('with 10,000 keys known, a key is found without looking through them', async (t) => {
  const atEnd = endsOf(t);
  const directory = folderOf(t, { few: {}, many: {} });
  const start = async (name: string, count: number) => {
    const keys = await openKeyStore({
      path: join(directory, name, 'metrics.db'),
      log: createLog({ level: 'silent' }),
      clock: systemClock,
    });
    atEnd(() => keys.close());
    const secrets = Array.from({ length: count }, (_, at) => `mcp_metrics_${String(at).padStart(43, '0')}`);
    await keys.syncEnvironment(secrets.map((secret, at) => ({ service: `service-${at}`, secret })));
    t.equal(keys.size(), count);
    const stage = auth();
    await stage.start?.(testContext({ keys }));
    /** Microseconds of a call, over keys spread over all of them. */
    return (): number => {
      const began = process.hrtime.bigint();
      for (let call = 0; call < CALLS; call += 1) {
        const secret = secrets[(call * 7919) % count]!;
        stage.authenticate(
          { get: (header) => (header === 'x-api-key' ? secret : undefined) },
          '',
          ['ingest'],
          'POST /metrics',
        );
      }
      return Number(process.hrtime.bigint() - began) / 1000 / CALLS;
    };
  };
  const few = await start('few', 10);
  const many = await start('many', 10_000);
  // The least of interleaved rounds: what others do on this machine only ever adds.
  const rounds = Array.from({ length: 9 }, () => ({ few: few(), many: many() }));
  const least = (of: 'few' | 'many'): number => Math.min(...rounds.map((round) => round[of]));
  t.comment(`${least('few').toFixed(2)} µs with 10 keys, ${least('many').toFixed(2)} µs with 10,000`);
  // A search through all keys would be hundreds of times slower. What is left is the processor's cache, which ten keys fit into.
  t.ok(least('many') < 30 * least('few'), 'what a look-up costs does not grow with the keys');
});
