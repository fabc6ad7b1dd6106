/**
 * Validation of bodies that are accepted, against `JSON.parse` of the same bodies in the same rounds: the pass over the bytes
 * that stands for parsing and checking, and the check of a parsed body, for what is not plain.
 */
import * as v from 'valibot';
import { isBody } from '../../../src/processors/validate/body-checker.ts';
import { createBodyScanner } from '../../../src/processors/validate/body-scanner.ts';
import { holdsEscapes } from '../../../src/processors/validate/json-text.ts';
import { createMetricChecker } from '../../../src/processors/validate/metric-checker.ts';
import { DAY_MS, DEFAULT_LIMITS, moveWindow, newWindow } from '../../../src/processors/validate/metric-limits.ts';
import { createMetricSchema } from '../../../src/processors/validate/metric-schema.ts';
import { timeJsonParse } from '../baselines/json-parse.ts';
import { bodies } from '../bodies.ts';
import { compared, type Scenario } from '../scenario.ts';

const PER_BODY = 100;

interface Pair {
  readonly value: number;
  readonly baseline: number;
}

export const scenario: Scenario = ({ rounds, small }) => {
  const texts = bodies(PER_BODY, 36).map((body) => {
    const text = JSON.stringify(body);
    return { text, bytes: Buffer.from(text) };
  });
  const repeats = small ? 2 : 40;
  const scanner = createBodyScanner(DEFAULT_LIMITS);
  const checker = createMetricChecker(DEFAULT_LIMITS);
  const window = newWindow();
  const schema = createMetricSchema(DEFAULT_LIMITS, window);

  function takePlain(_body: unknown, bytes: Uint8Array, now: number): boolean {
    moveWindow(window, now, 300_000, () => 90);
    return scanner.scan(bytes, window, now - 7 * DAY_MS) !== undefined;
  }
  function check(body: unknown, bytes: Uint8Array, now: number): boolean {
    if (!isBody(body, DEFAULT_LIMITS)) return false;
    moveWindow(window, now, 300_000, () => 90);
    checker.reset(holdsEscapes(bytes));
    return body.metrics.every((metric) => checker.check(metric, window) === undefined);
  }
  function checkByValibot(body: unknown): boolean {
    return (body as { metrics: unknown[] }).metrics.every((metric) => v.safeParse(schema, metric).success);
  }

  /** Per metric, in rounds of which the first warms up: what `JSON.parse` takes, and a check of what it gives. */
  function measure(check: (body: unknown, bytes: Uint8Array, now: number) => boolean): Pair[] {
    const pairs: Pair[] = [];
    for (let round = -1; round < rounds; round += 1) {
      let parsing = 0;
      let checking = 0;
      for (let repeat = 0; repeat < repeats; repeat += 1) {
        for (const { text, bytes } of texts) {
          const now = Date.now();
          const { value: body, ms } = timeJsonParse(text);
          parsing += ms;
          const start = performance.now();
          const accepted = check(body, bytes, now);
          checking += performance.now() - start;
          if (!accepted) throw new Error('a recorded body was not accepted');
        }
      }
      const micros = (ms: number): number => (ms * 1000) / (repeats * texts.length * PER_BODY);
      if (round >= 0) pairs.push({ value: micros(checking), baseline: micros(parsing) });
    }
    return pairs;
  }
  const against = 'JSON.parse';
  // One after the other: the schema's code and its garbage are no part of the check, which does without it.
  const taken = measure(takePlain);
  const checked = measure(check);
  const byValibot = measure(checkByValibot);
  return Promise.resolve([
    // In the place of a parse and a check that takes 0.3 of one.
    compared(
      { what: 'plain metrics, read and checked in one pass', unit: 'µs', against, goal: { atMost: 1.3 } },
      taken,
    ),
    compared({ what: 'other accepted metrics, once parsed', unit: 'µs', against, goal: { atMost: 0.3 } }, checked),
    compared({ what: 'the same by valibot on every metric', unit: 'µs', against }, byValibot),
  ]);
};
