import assert from 'node:assert/strict';
import t from 'tap';
import fc from 'fast-check';
import { execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { PrometheusSerializer } from '@opentelemetry/exporter-prometheus';
import { emptyResource } from '@opentelemetry/resources';
import type { Labels, MetricFamily } from '../../../src/core/ports.ts';
import { chooseFormat, type ExpositionFormat, writeExposition } from '../../../src/sinks/otel/exposition.ts';
import { toFamily, toMetricData } from '../../../src/sinks/otel/metric-data.ts';

const write = (families: Iterable<MetricFamily>, format: ExpositionFormat = 'prometheus'): string =>
  [...writeExposition(families, format)].join('');

const labels: fc.Arbitrary<Labels> = fc.dictionary(
  fc.constantFrom('service', 'method', 'tool_name'),
  fc.oneof(fc.string({ minLength: 1, unit: 'grapheme' }), fc.constantFrom('a"b', 'c\\d', 'e\nf', '} 1', 'é😀')),
);
/** No two series of a family have the same labels. */
const series = <Value>(value: fc.Arbitrary<Value>) =>
  fc.uniqueArray(fc.record({ labels, value }), {
    minLength: 1,
    maxLength: 8,
    selector: (each) => JSON.stringify(Object.entries(each.labels).sort(([a], [b]) => (a < b ? -1 : 1))),
  });
const number = fc.double({ min: 0, noNaN: true });
const boundaries = fc.constantFrom([0.005, 1, 2.5], [10], [0.1, 0.2, 0.3, 0.4]);
const help = fc.string({ minLength: 1, unit: 'grapheme' });

const family: fc.Arbitrary<MetricFamily> = fc.oneof(
  fc.record({ name: fc.constant('x_total'), type: fc.constant('counter' as const), help, series: series(number) }),
  fc.record({
    name: fc.constant('y'),
    type: fc.constant('gauge' as const),
    help,
    series: series(fc.double({ noNaN: true })),
  }),
  boundaries.chain((bounds) =>
    fc.record({
      name: fc.constant('z_seconds'),
      type: fc.constant('histogram' as const),
      help,
      series: series(
        fc
          .tuple(fc.array(fc.nat(), { minLength: bounds.length + 1, maxLength: bounds.length + 1 }), number)
          .map(([counts, sum]) => ({
            boundaries: bounds,
            counts,
            sum,
            count: counts.reduce((total, count) => total + count, 0),
          })),
      ),
    }),
  ),
);

const sorted = (text: string): string[] => text.trim().split('\n').sort();

t.test('the text says what the SDK’s serialiser says', (t) => {
  fc.assert(
    fc.property(family, (each) => {
      const data = toMetricData(each, 0, 1);
      const oracle = new PrometheusSerializer(undefined, false, undefined, true, true);
      const expected = oracle.serialize({
        resource: emptyResource(),
        scopeMetrics: [{ scope: { name: 'test' }, metrics: [data] }],
      });
      assert.deepEqual(sorted(write([each])), sorted(expected));
      // The way through metric data loses nothing.
      assert.equal(JSON.stringify(toFamily(data)?.series), JSON.stringify(each.series));
    }),
    { numRuns: 300 },
  );
  t.pass('held');
  t.end();
});

const COUNTER: MetricFamily = {
  name: 'mcp_requests_total',
  help: 'Quotes " and \\ and\nlines.',
  type: 'counter',
  series: [{ labels: {}, value: 3 }],
};
const DURATIONS: MetricFamily = {
  name: 'mcp_duration_seconds',
  help: 'Durations.',
  unit: 's',
  type: 'histogram',
  series: [{ labels: { a: 'b' }, value: { boundaries: [0.5, 10], counts: [1, 2, 3], sum: 40.5, count: 6 } }],
};

t.test('OpenMetrics names the counter’s family without _total, and bounds as decimals', (t) => {
  t.equal(
    write([COUNTER, DURATIONS], 'openmetrics'),
    [
      '# HELP mcp_requests Quotes \\" and \\\\ and\\nlines.',
      '# TYPE mcp_requests counter',
      'mcp_requests_total 3',
      '# HELP mcp_duration_seconds Durations.',
      '# TYPE mcp_duration_seconds histogram',
      '# UNIT mcp_duration_seconds seconds',
      'mcp_duration_seconds_bucket{a="b",le="0.5"} 1',
      'mcp_duration_seconds_bucket{a="b",le="10.0"} 3',
      'mcp_duration_seconds_bucket{a="b",le="+Inf"} 6',
      'mcp_duration_seconds_sum{a="b"} 40.5',
      'mcp_duration_seconds_count{a="b"} 6',
      '',
    ].join('\n'),
  );
  t.end();
});

t.test('a family without series is left out, an empty label value too', (t) => {
  t.equal(write([{ ...COUNTER, series: [] }]), '');
  t.match(
    write([{ ...COUNTER, help: 'x', series: [{ labels: { a: '', b: 'c' }, value: 1 }] }]),
    'mcp_requests_total{b="c"} 1',
  );
  t.end();
});

t.test('numbers that are none are written as Prometheus reads them', (t) => {
  const values = [Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, 1e21, 1e-7];
  const text = write([
    {
      name: 'g',
      help: 'g',
      type: 'gauge',
      series: values.map((value, index) => ({ labels: { i: `${index}` }, value })),
    },
  ]);
  t.strictSame(
    text
      .trim()
      .split('\n')
      .slice(2)
      .map((line) => line.split(' ')[1]),
    ['NaN', '+Inf', '-Inf', '1e+21', '1e-7'],
  );
  t.end();
});

t.test('the text comes in pieces, none of which cuts a series', (t) => {
  const many = Array.from({ length: 20_000 }, (_, index) => ({
    labels: { index: `${index}`, pad: 'x'.repeat(60) },
    value: index,
  }));
  const pieces = [...writeExposition([{ ...COUNTER, series: many }], 'prometheus')];
  t.ok(pieces.length > 1, `${pieces.length} pieces`);
  for (const piece of pieces) t.ok(piece.endsWith('\n'));
  t.equal(pieces.join('').split('\n').length, 20_000 + 3);
  t.end();
});

t.test('the format is what the scraper ranks highest', (t) => {
  const prometheusServer =
    'application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,application/openmetrics-text;version=0.0.1;q=0.5,text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4,text/plain;version=0.0.4;q=0.3,*/*;q=0.2';
  for (const [accept, format] of [
    [undefined, 'prometheus'],
    ['*/*', 'prometheus'],
    ['text/html, */*', 'prometheus'],
    [prometheusServer, 'openmetrics'],
    ['application/openmetrics-text', 'openmetrics'],
    ['application/openmetrics-text; version=2.0.0', 'prometheus'],
    ['application/openmetrics-text;q=0', 'prometheus'],
    ['text/plain;q=0.9, application/openmetrics-text;q=0.1', 'prometheus'],
  ] as const) {
    t.equal(chooseFormat(accept), format, String(accept));
  }
  t.end();
});

t.test(
  'promtool finds nothing to complain of in the text',
  { skip: existsSync('/usr/bin/promtool') ? false : 'promtool is not installed' },
  (t) => {
    const gauge: MetricFamily = {
      name: 'mcp_level',
      help: 'é',
      type: 'gauge',
      series: [{ labels: { a: '\\"\n😀' }, value: -1 }],
    };
    const check = (text: string): string =>
      execFileSync('/usr/bin/promtool', ['check', 'metrics'], { input: text, encoding: 'utf8' });
    t.equal(check(write([COUNTER, DURATIONS, gauge])), '');
    t.end();
  },
);
