/** Whatever an emitter may send comes back from the views as it was: names, values and their JSON types. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import fc from 'fast-check';
import t from 'tap';
import type { JsonMetric } from '../../../src/core/json-events.ts';
import { METRIC_TYPES } from '../../../src/core/metric.ts';
import { COLUMNS } from '../../../src/sinks/sqlite/columns.ts';
import { openStore } from '../../../src/sinks/sqlite/store.ts';
import { memoryLog, query, recorder } from './harness.ts';
import { folderOf } from '../../support/folder.ts';

const NAMED = [
  ...new Set(Object.values(COLUMNS).flatMap(({ labels, numbers, text }) => [...labels, ...numbers, text ?? ''])),
  'client_name',
  'client_version',
  'user_hash',
].filter((name) => name !== '');

const text = fc.oneof(
  fc.string({ unit: 'grapheme', maxLength: 40 }),
  fc.string({ unit: 'binary', maxLength: 20 }),
  fc.constantFrom(
    '',
    '"',
    '\\',
    "'; DROP TABLE events; --",
    '\u0000',
    '\ud800',
    'req_0123456789abcdef',
    '12',
    'true',
    '9'.repeat(150),
  ),
);
const number = fc.oneof(
  fc.double({ noNaN: true, noDefaultInfinity: true, min: -1e12, max: 1e12 }),
  fc.integer(),
  fc.constantFrom(0, -0, 1, 0.1, 1e12, 2 ** 53, 5e-324),
);
const dimension = fc.oneof(text, number, fc.boolean());
const dimensionName = fc.oneof(
  fc.constantFrom(...NAMED),
  fc.stringMatching(/^[A-Za-z_][A-Za-z0-9_]{0,20}$/),
  fc.constantFrom('__proto__', 'constructor', 'toString', 'd', 'm', 'l'),
);
const metadataName = fc.oneof(
  dimensionName,
  text,
  fc.constantFrom('request_id', 'latency_seconds', 'a.b', '$[0]', '0'),
);
const metric = fc.record({
  type: fc.constantFrom(...METRIC_TYPES),
  value: number.map((value) => (value === 0 ? 0 : value)),
  timestamp: fc
    .date({ min: new Date('2026-01-01'), max: new Date('2027-01-01'), noInvalidDate: true })
    .map((d) => d.toISOString()),
  duration_ms: fc.option(fc.double({ min: 0, max: 86_400_000, noNaN: true })),
  dimensions: fc.dictionary(dimensionName, dimension, { maxKeys: 12 }),
  metadata: fc.dictionary(metadataName, fc.oneof(dimension, fc.jsonValue({ maxDepth: 3 }) as fc.Arbitrary<never>), {
    maxKeys: 8,
  }),
});

const TEXTS: Readonly<Record<string, boolean>> = {
  true: true,
  True: true,
  TRUE: true,
  false: false,
  False: false,
  FALSE: false,
};

/** What JSON itself does to a value (−0 becomes 0), and what the reading of events does to `success` and `healthy`. */
const expected = (sent: JsonMetric): unknown => {
  const dimensions = Object.fromEntries(
    Object.entries(sent.dimensions ?? {}).map(([name, value]) => [
      name,
      (name === 'success' || name === 'healthy') && typeof value === 'string' ? (TEXTS[value] ?? value) : value,
    ]),
  );
  return JSON.parse(JSON.stringify({ dimensions, metadata: sent.metadata }));
};

t.test('dimensions and metadata of any shape', async (t) => {
  const path = join(folderOf(t), 'metrics.db');
  const store = await openStore(path, { log: memoryLog() });
  t.teardown(() => store.close());
  const { record, end } = recorder();
  let id = 0;
  await fc.assert(
    fc.asyncProperty(fc.array(metric, { minLength: 1, maxLength: 20 }), async (metrics) => {
      const service = 'any';
      await store.write([record({ service, metrics })], end());
      const rows = query<{ id: number; dimensions: string; metadata: string }>(
        path,
        'SELECT id, dimensions, metadata, value, duration_ms FROM metrics WHERE id > ? ORDER BY id',
        id,
      );
      id = rows.at(-1)!.id;
      const got = rows.map((row) => ({
        dimensions: JSON.parse(row.dimensions) as unknown,
        metadata: JSON.parse(row.metadata) as unknown,
      }));
      assert.deepStrictEqual(got, (metrics as unknown as JsonMetric[]).map(expected));
    }),
    { numRuns: 150 },
  );
  t.pass('150 batches');
});
