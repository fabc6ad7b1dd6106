import fc from 'fast-check';
import t from 'tap';
import * as v from 'valibot';
import type { RejectionReason } from '../../src/core/metric.ts';
import { isBody } from '../../src/processors/validate/body-checker.ts';
import { createMetricChecker } from '../../src/processors/validate/metric-checker.ts';
import { describeIssue } from '../../src/processors/validate/metric-errors.ts';
import { DEFAULT_LIMITS, fitsJson, moveWindow, newWindow } from '../../src/processors/validate/metric-limits.ts';
import { createBodySchema, createMetricSchema } from '../../src/processors/validate/metric-schema.ts';
import { body, metric } from './hostile-values.ts';

const NOW = Date.UTC(2026, 10, 22, 8, 17, 9);
const WINDOW = newWindow();
moveWindow(WINDOW, NOW, 300_000, (type) => (type === 'custom' ? 10 : 90));
const REASONS = new Map<unknown, RejectionReason>([
  ['type', 'type'],
  ['timestamp', 'timestamp'],
  ['value', 'value'],
  ['duration_ms', 'duration'],
  ['dimensions', 'dimensions'],
  ['metadata', 'metadata'],
]);

/** No C0 or C1 control character, and nothing that turns the direction of writing. */
const printable = (text: string): boolean => !/[\p{Cc}\u2028\u2029\u202a-\u202e\u2066-\u2069]/u.test(text);

t.test('the plain check and the schema have one verdict on every metric, and agree on what is wrong first', (t) => {
  const checker = createMetricChecker(DEFAULT_LIMITS);
  const schema = createMetricSchema(DEFAULT_LIMITS, WINDOW);
  const seen = new Map<string, number>();
  fc.assert(
    fc.property(metric(NOW), (value) => {
      const reason = checker.check(value, WINDOW);
      const [first] = v.safeParse(schema, value).issues ?? [];
      const key = (first?.path?.[0] as { key?: unknown } | undefined)?.key;
      const expected = first === undefined ? undefined : (REASONS.get(key) ?? 'shape');
      seen.set(String(reason), (seen.get(String(reason)) ?? 0) + 1);
      return reason === expected;
    }),
    { numRuns: 20_000 },
  );
  for (const reason of ['undefined', 'shape', ...REASONS.values()]) {
    t.ok((seen.get(reason) ?? 0) > 50, `the generator makes metrics that end as ${reason}: ${seen.get(reason)}`);
  }
  t.end();
});

t.test('the plain check and the schema have one verdict on every body', (t) => {
  const limits = { ...DEFAULT_LIMITS, maxMetrics: 10 };
  const schema = createBodySchema(limits);
  const verdicts = { true: 0, false: 0 };
  fc.assert(
    fc.property(body, (value) => {
      const verdict = isBody(value, limits);
      verdicts[`${verdict}`] += 1;
      return verdict === v.safeParse(schema, value).success;
    }),
    { numRuns: 5000 },
  );
  t.ok(verdicts.true > 50 && verdicts.false > 50, JSON.stringify(verdicts));
  t.end();
});

t.test('no error is long, and none holds a control character', (t) => {
  const schema = createMetricSchema(DEFAULT_LIMITS, WINDOW);
  fc.assert(
    fc.property(metric(NOW), (value) =>
      (v.safeParse(schema, value).issues ?? []).every((issue) => {
        const error = describeIssue(issue, 'metrics[0]');
        return error.length < 800 && printable(error);
      }),
    ),
    { numRuns: 5000 },
  );
  t.end();
});

t.test('fitsJson measures as JSON.stringify does', (t) => {
  fc.assert(
    fc.property(fc.jsonValue(), fc.integer({ min: 1, max: 120 }), (value, max) => {
      const length = typeof value === 'string' ? value.length : JSON.stringify(value).length;
      return fitsJson(value, max) === length <= max;
    }),
    { numRuns: 10_000 },
  );
  t.equal(fitsJson(JSON.parse(`${'['.repeat(1e6)}${']'.repeat(1e6)}`), 1000), false, 'a million levels deep');
  t.end();
});
