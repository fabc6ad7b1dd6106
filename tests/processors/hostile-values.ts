/** Arbitraries of what arrives in the place of a metric: right, nearly right, and hostile. */
import fc from 'fast-check';
import { METRIC_TYPES } from '../../src/core/metric.ts';

/** As `JSON.parse` makes it: `__proto__` is a member of its own. */
const record = (entries: readonly (readonly [string, unknown])[]): object => {
  const object = {};
  for (const [name, value] of entries) {
    Object.defineProperty(object, name, { value, enumerable: true, configurable: true, writable: true });
  }
  return object;
};

const text = fc.oneof(
  fc.string({ maxLength: 12 }),
  fc.string({ unit: 'binary', maxLength: 12 }),
  fc.constantFrom('', 'true', '\u0000', '\ud800', 'a\udfffb', '\u202e', "'; DROP TABLE metrics; --", '{}"\\\n', '😀'),
  fc.integer({ min: 45, max: 205 }).map((length) => 'x'.repeat(length)),
  fc.integer({ min: 990, max: 1010 }).map((length) => 'é'.repeat(length)),
);
const number = fc.oneof(
  fc.double(),
  fc.integer(),
  fc.constantFrom(0, -0, -1, 1e12, 1e12 + 1, -1e12, 86_400_000, 86_400_001, 5e-324, Infinity, -Infinity, NaN),
);
const leaf = fc.oneof(text, number, fc.boolean(), fc.constant(null), fc.constant(undefined));
const anything = fc.oneof({ weight: 4, arbitrary: leaf }, { weight: 1, arbitrary: fc.anything({ maxDepth: 3 }) });
const key = fc.oneof(
  fc.constantFrom('success', 'method', 'tool_name', '_x', '__proto__', 'constructor', 'toString', 'a-b', '', '9a', 'é'),
  fc.stringMatching(/^[A-Za-z_][A-Za-z0-9_]{0,55}$/),
  text,
);
const entries = (value: fc.Arbitrary<unknown>, max: number) =>
  fc.array(fc.tuple(key, value), { maxLength: max }).map(record);

const timestamp = (now: number) =>
  fc.oneof(
    fc.integer({ min: -400_000, max: 400_000 }).map((ms) => new Date(now + ms).toISOString()),
    fc.integer({ min: -91 * 86_400_000, max: 0 }).map((ms) => new Date(now + ms).toISOString()),
    fc
      .constantFrom(now - 90 * 86_400_000, now - 90 * 86_400_000 - 1, now + 300_000, now + 300_001)
      .map((at) => new Date(at).toISOString()),
    fc.constantFrom('2026-02-30T00:00:00Z', 'yesterday', '2026-11-22T08:17:09.588991'),
  );

/** As many entries as the limit allows, give or take two, and some absent ones. */
const manyEntries = (limit: number) =>
  fc
    .tuple(fc.integer({ min: limit - 2, max: limit + 2 }), fc.integer({ min: 0, max: 3 }))
    .map(([present, absent]) =>
      record([
        ...Array.from({ length: present }, (_, index) => [`k${index}`, index] as const),
        ...Array.from({ length: absent }, (_, index) => [`n${index}`, null] as const),
      ]),
    );

/** Values of `metrics[n]`, with timestamps around `now`; about half of them are right. */
export const metric = (now: number): fc.Arbitrary<unknown> => {
  const good = {
    type: fc.constantFrom(...METRIC_TYPES),
    value: fc.oneof(fc.constant(1), fc.double({ min: 0, max: 1e12, noNaN: true })),
    timestamp: fc.oneof(timestamp(now), fc.constant(null), fc.constant(undefined)),
    duration_ms: fc.oneof(
      fc.double({ min: 0, max: 86_400_000, noNaN: true }),
      fc.constant(null),
      fc.constant(undefined),
    ),
    dimensions: fc.oneof(
      fc.dictionary(
        fc.stringMatching(/^[A-Za-z_][A-Za-z0-9_]{0,10}$/),
        fc.oneof(fc.string({ maxLength: 20 }), fc.boolean(), fc.integer(), fc.constant(null)),
        { maxKeys: 22 },
      ),
      entries(leaf, 4),
      manyEntries(20),
      fc.constant(null),
      fc.constant(undefined),
    ),
    metadata: fc.oneof(
      fc.dictionary(fc.string({ maxLength: 8 }), fc.jsonValue({ maxDepth: 3 }), { maxKeys: 32 }),
      entries(anything, 4),
      manyEntries(30),
      fc.constant(null),
      fc.constant(undefined),
    ),
    unknown: fc.oneof(fc.constant(undefined), fc.jsonValue()),
  };
  const spoilt = fc
    .tuple(
      fc.record(good),
      fc.constantFrom('type', 'value', 'timestamp', 'duration_ms', 'dimensions', 'metadata'),
      anything,
    )
    .map(([item, field, value]) => ({ ...item, [field]: value }));
  return fc.oneof(
    { weight: 5, arbitrary: fc.record(good) },
    { weight: 5, arbitrary: spoilt },
    { weight: 1, arbitrary: fc.oneof(anything, fc.jsonValue(), fc.constant([])) },
  );
};

/** Whole bodies, the metrics apart. */
export const body: fc.Arbitrary<unknown> = fc.oneof(
  {
    weight: 5,
    arbitrary: fc.record(
      {
        service: fc.oneof(fc.stringMatching(/^[A-Za-z0-9_-]{1,102}$/), anything),
        version: fc.oneof(fc.constantFrom('1.0.0', null), anything),
        instance_id: fc.oneof(fc.stringMatching(/^[A-Za-z0-9_.-]{1,102}$/), anything),
        metrics: fc.oneof(fc.array(fc.constant(1), { maxLength: 12 }), anything),
      },
      { requiredKeys: [] },
    ),
  },
  { weight: 1, arbitrary: anything },
);
