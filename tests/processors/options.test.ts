import t from 'tap';
import { auth } from '../../src/processors/auth.ts';
import { buffer } from '../../src/processors/buffer.ts';
import { enrich } from '../../src/processors/enrich.ts';
import { rateLimit } from '../../src/processors/rate-limit.ts';
import { validate } from '../../src/processors/validate.ts';
import { otlp } from '../../src/sinks/otel/otlp.ts';
import { prometheus } from '../../src/sinks/otel/prometheus.ts';
import { sqlite } from '../../src/sinks/sqlite/sqlite.ts';

t.test('an option that no stage or sink reads stops the start, with its name and theirs', (t) => {
  for (const [name, make] of Object.entries({
    auth,
    rateLimit,
    validate,
    enrich,
    buffer,
    sqlite,
    prometheus,
    otlp,
  })) {
    const careless = make as (options: object) => unknown;
    t.throws(() => careless({ perMinutes: 5 }), {
      name: 'TypeError',
      message: new RegExp(`^${name}\\(\\): unknown option "perMinutes"; the options are `),
    });
    t.doesNotThrow(() => careless({}));
  }
  const careless = buffer as (options: object) => unknown;
  t.throws(() => careless({ idempotency: { ttl: 5 } }), { message: /unknown option "ttl"/ });
  t.end();
});

t.test('a number that makes no sense stops the start, with its value', (t) => {
  for (const [make, message] of [
    [
      () => auth({ failuresPerMinutePerAddress: 0 }),
      'auth: failuresPerMinutePerAddress must be a number above 0; got 0',
    ],
    [() => rateLimit({ perMinute: -1 }), 'rateLimit: perMinute must be a number above 0; got -1'],
    [() => validate({ maxAgeDays: 0 }), 'validate: maxAgeDays must be a number above 0; got 0'],
    [() => validate({ maxBodyBytes: Number.NaN }), 'validate: maxBodyBytes must be a number above 0; got NaN'],
    [() => buffer({ segmentBytes: Infinity }), 'buffer: segmentBytes must be a number above 0; got Infinity'],
    [() => buffer({ idempotency: { maxKeys: 0 } }), 'buffer: maxKeys must be a number above 0; got 0'],
    [() => sqlite({ maxBatchMetrics: 0 }), 'sqlite: maxBatchMetrics must be a number above 0; got 0'],
  ] as const) {
    t.throws(make, { name: 'RangeError', message });
  }
  t.end();
});
