import assert from 'node:assert/strict';
import t from 'tap';
import fc from 'fast-check';
import type { Attributes, Counter, Histogram } from '@opentelemetry/api';
import { emptyResource } from '@opentelemetry/resources';
import { DataPointType, MeterProvider, type MetricData, MetricReader } from '@opentelemetry/sdk-metrics';
import { METRIC_TYPES, type DimensionValue, type Json, type MetricEvent } from '../../../src/core/metric.ts';
import type { TotalsOptions } from '../../../src/core/totals.ts';
import { DEFAULT_BOUNDARIES, resolveSeriesSettings } from '../../../src/sinks/otel/instruments.ts';
import { createMetricProducer } from '../../../src/sinks/otel/metric-producer.ts';
import { restoreRegistry, type RegistryState, storeRegistry } from '../../../src/sinks/otel/registry-state.ts';
import { SeriesRegistry } from '../../../src/sinks/otel/series-registry.ts';

const NOON = Date.UTC(2026, 10, 22, 12);

interface Received {
  readonly service: string;
  readonly receivedAt: number;
  readonly event: MetricEvent;
}

const open = (options: TotalsOptions = {}): SeriesRegistry => new SeriesRegistry(resolveSeriesSettings(options));

function feed(registry: SeriesRegistry, received: Iterable<Received>): SeriesRegistry {
  for (const { service, receivedAt, event } of received) {
    registry.advance(receivedAt);
    registry.record(service, event);
  }
  return registry;
}

const state = (registry: SeriesRegistry): RegistryState =>
  JSON.parse(JSON.stringify(storeRegistry(registry))) as RegistryState;

async function collect(registry: SeriesRegistry, now = NOON): Promise<readonly MetricData[]> {
  const producer = createMetricProducer({ registry, resource: emptyResource(), version: '1', now: () => now });
  const { resourceMetrics } = await producer.collect();
  return resourceMetrics.scopeMetrics.flatMap(({ metrics }) => metrics);
}

/** Every number of every series, under a key that does not depend on order. */
function numbers(metrics: readonly MetricData[]): Map<string, unknown> {
  const found = new Map<string, unknown>();
  for (const metric of metrics) {
    for (const point of metric.dataPoints) {
      const attributes = Object.entries(point.attributes).sort(([a], [b]) => (a < b ? -1 : 1));
      const { value } = point;
      const key = `${metric.descriptor.name} ${JSON.stringify(attributes)}`;
      if (found.has(key)) throw new Error(`two series of the same name and attributes: ${key}`);
      if (typeof value === 'number') found.set(key, value);
      else if ('buckets' in value)
        found.set(key, [value.buckets.boundaries, value.buckets.counts, value.sum, value.count]);
    }
  }
  return found;
}

const labelValue = fc.constantFrom<DimensionValue[]>(
  'a',
  'b',
  'get',
  'true',
  '',
  '200',
  'expired',
  200,
  7.5,
  true,
  false,
);
const labelNames = [
  'success',
  'method',
  'server',
  'error_code',
  'tool_name',
  'server_name',
  'client_name',
  'flow_step',
  'operation',
  'resource_type',
  'endpoint',
  'status_code',
  'healthy',
  'metric_name',
  'query',
  'user_hash',
  'constructor',
];
const dimensions = fc.dictionary(fc.constantFrom(...labelNames), labelValue, { maxKeys: 8 });
const metadata = fc.dictionary(
  fc.constantFrom(...labelNames),
  fc.oneof(labelValue, fc.constantFrom<Json[]>(null, ['x'], { y: 1 })),
  { maxKeys: 4 },
);
const number = fc.oneof(fc.constantFrom(0, 1, 5, 10, 300_000), fc.double({ min: 0, max: 1e6, noNaN: true }));
const event: fc.Arbitrary<MetricEvent> = fc
  .record({
    type: fc.constantFrom(...METRIC_TYPES),
    timestamp: fc.constant(NOON),
    value: number,
    durationMs: fc.option(number, { nil: undefined }),
    dimensions,
    metadata,
  })
  .map(({ durationMs, ...rest }) => (durationMs === undefined ? rest : { ...rest, durationMs }));
const received: fc.Arbitrary<Received> = fc.record({
  service: fc.constantFrom('auth', 'registry', 'nginx'),
  receivedAt: fc.integer({ min: NOON, max: NOON + 100_000 }),
  event,
});

/** The instrument table of the issue, said once more and read plainly. */
const TABLE: Readonly<Record<string, { counter?: string; histogram: string; labels: readonly string[] }>> = {
  auth_request: {
    counter: 'mcp_auth_requests_total',
    histogram: 'mcp_auth_request_duration_seconds',
    labels: ['success', 'method', 'server', 'error_code'],
  },
  tool_execution: {
    counter: 'mcp_tool_executions_total',
    histogram: 'mcp_tool_execution_duration_seconds',
    labels: ['method', 'tool_name', 'server_name', 'client_name', 'success', 'error_code'],
  },
  tool_discovery: { counter: 'mcp_tool_discovery_total', histogram: 'mcp_tool_discovery_duration_seconds', labels: [] },
  protocol_latency: { histogram: 'mcp_protocol_latency_seconds', labels: ['flow_step', 'server_name'] },
  registry_operation: {
    counter: 'mcp_registry_operations_total',
    histogram: 'mcp_registry_operation_duration_seconds',
    labels: ['operation', 'resource_type', 'success'],
  },
  health_check: {
    counter: 'mcp_health_checks_total',
    histogram: 'mcp_health_check_duration_seconds',
    labels: ['endpoint', 'status_code', 'healthy'],
  },
  custom: { counter: 'mcp_custom_total', histogram: 'mcp_custom_duration_seconds', labels: ['metric_name'] },
};

function plainAttributes({ service, event }: Received): Attributes {
  const read = (name: string): string | undefined => {
    const own = (from: object) =>
      Object.hasOwn(from, name) ? (from as Record<string, string | number | boolean | null | object>)[name] : undefined;
    const value = own(event.dimensions) ?? own(event.metadata);
    return value === '' || value === null || value === undefined || typeof value === 'object'
      ? undefined
      : String(value);
  };
  const attributes: Attributes = { service, metric_type: event.type };
  for (const label of TABLE[event.type]!.labels) {
    const value = label === 'error_code' && read('success') !== 'false' ? undefined : read(label);
    if (value !== undefined) attributes[label] = value;
  }
  return attributes;
}

class OracleReader extends MetricReader {
  protected override onForceFlush = () => Promise.resolve();
  protected override onShutdown = () => Promise.resolve();
}

t.test('any events give the sums and buckets that the SDK gives', async (t) => {
  await fc.assert(
    fc.asyncProperty(fc.array(received, { maxLength: 200 }), async (events) => {
      const reader = new OracleReader();
      const meter = new MeterProvider({ readers: [reader] }).getMeter('oracle');
      const counters = new Map<string, Counter>();
      const histograms = new Map<string, Histogram>();
      const advice = { explicitBucketBoundaries: [...DEFAULT_BOUNDARIES] };
      for (const [type, { counter, histogram }] of Object.entries(TABLE)) {
        if (counter !== undefined) counters.set(type, meter.createCounter(counter));
        histograms.set(type, meter.createHistogram(histogram, { advice }));
      }
      for (const each of events) {
        const { type, value, durationMs } = each.event;
        const attributes = plainAttributes(each);
        counters.get(type)?.add(value, attributes);
        if (type === 'protocol_latency') histograms.get(type)!.record(value, attributes);
        else if (durationMs !== undefined) histograms.get(type)!.record(durationMs / 1000, attributes);
      }
      const { resourceMetrics } = await reader.collect();
      const expected = numbers(resourceMetrics.scopeMetrics.flatMap(({ metrics }) => metrics));
      const actual = numbers(await collect(feed(open(), events)));
      assert.deepEqual([...actual].sort(byKey), [...expected].sort(byKey));
    }),
    { numRuns: 200 },
  );
  t.pass('held');
});

const byKey = ([a]: [string, unknown], [b]: [string, unknown]): number => (a < b ? -1 : 1);

t.test('a state stored and restored at any point goes on as if nothing had been', (t) => {
  const options: TotalsOptions = { maxSeries: 12, maxLabelValues: 3, maxLabelLength: 6, expireAfterMs: 30_000 };
  fc.assert(
    fc.property(fc.array(received, { maxLength: 150 }), fc.nat(), (events, cut) => {
      const at = events.length === 0 ? 0 : cut % events.length;
      const half = feed(open(options), events.slice(0, at));
      const restored = open(options);
      restoreRegistry(restored, state(half));
      assert.deepEqual(state(feed(restored, events.slice(at))), state(feed(open(options), events)));
    }),
    { numRuns: 300 },
  );
  t.pass('held');
  t.end();
});

const auth = (dims: Record<string, DimensionValue>, more: Partial<MetricEvent> = {}, receivedAt = NOON): Received => ({
  service: 'auth',
  receivedAt,
  event: { type: 'auth_request', timestamp: NOON, value: 1, dimensions: dims, metadata: {}, ...more },
});

const seriesOf = async (registry: SeriesRegistry, name: string): Promise<Record<string, unknown>[]> =>
  (await collect(registry)).flatMap((metric) =>
    metric.descriptor.name === name && metric.dataPointType === DataPointType.SUM
      ? metric.dataPoints.map(({ attributes, value }) => ({ ...attributes, value }))
      : [],
  );

t.test('values beyond the number per label count as _other, the first keep their names', async (t) => {
  const registry = open();
  const methods = Array.from({ length: 200 }, (_, index) => `method-${index}`);
  feed(
    registry,
    [...methods, ...methods].map((method) => auth({ method })),
  );
  const series = await seriesOf(registry, 'mcp_auth_requests_total');
  t.equal(series.length, 151);
  t.match(
    series.find(({ method }) => method === 'method-149'),
    { value: 2 },
  );
  t.match(
    series.find(({ method }) => method === '_other'),
    { value: 100 },
  );
  t.strictSame(registry.statistics().overflow, { method: 100 });
});

t.test('a value longer than its limit counts as _other', async (t) => {
  const registry = feed(open(), [auth({ method: 'x'.repeat(97) }), auth({ method: 'y'.repeat(96) })]);
  t.strictSame(
    (await seriesOf(registry, 'mcp_auth_requests_total')).map(({ method }) => method),
    ['_other', 'y'.repeat(96)],
  );
});

t.test('user hashes, free text and numbers are no labels', async (t) => {
  const registry = feed(open(), [auth({ user_hash: 'abc', query: 'find', results_count: 3, session_key: 's' })]);
  t.strictSame(await seriesOf(registry, 'mcp_auth_requests_total'), [
    { service: 'auth', metric_type: 'auth_request', value: 1 },
  ]);
});

t.test('at the series limit the least recently received goes, and comes back anew with a new start', async (t) => {
  const registry = open({ maxSeries: 2 });
  feed(registry, [
    auth({ method: 'a' }, {}, NOON),
    auth({ method: 'b' }, {}, NOON + 1),
    auth({ method: 'a' }, {}, NOON + 2),
    auth({ method: 'c' }, {}, NOON + 3),
  ]);
  const shown = async () =>
    (await seriesOf(registry, 'mcp_auth_requests_total')).map(({ method, value }) => [method, value]);
  t.strictSame(await shown(), [
    ['a', 2],
    ['c', 1],
  ]);
  t.match(registry.statistics(), { series: 2, evicted: 1 });
  feed(registry, [auth({ method: 'b' }, {}, NOON + 4)]);
  t.strictSame(await shown(), [
    ['c', 1],
    ['b', 1],
  ]);
  const [metric] = await collect(registry, NOON + 10);
  t.strictSame(
    metric?.dataPoints.map(({ attributes, startTime }) => [
      attributes['method'],
      startTime[0] * 1000 + startTime[1] / 1e6,
    ]),
    [
      ['c', NOON + 3],
      ['b', NOON + 4],
    ],
  );
});

t.test('a label value is given back when its last series goes', async (t) => {
  const registry = open({ maxSeries: 2, maxLabelValues: 2 });
  feed(
    registry,
    ['a', 'b', 'c', 'd'].map((method) => auth({ method })),
  );
  t.strictSame(
    (await seriesOf(registry, 'mcp_auth_requests_total')).map(({ method }) => method),
    ['_other', 'd'],
  );
});

t.test('what goes leaves nothing behind', (t) => {
  const registry = open({ expireAfterMs: 10 });
  feed(registry, [
    auth({ success: true, method: 7 }),
    auth({ success: 'true', method: '7' }),
    auth({ success: false }),
  ]);
  registry.advance(NOON + 100);
  t.equal(registry.statistics().series, 0);
  t.equal(registry.types.get('auth_request')?.root.next.size, 0);
  t.end();
});

t.test('a series that received nothing for so long goes, by the records’ own times', (t) => {
  const registry = open({ expireAfterMs: 1000 });
  feed(registry, [auth({ method: 'a' }, {}, NOON), auth({ method: 'b' }, {}, NOON + 800)]);
  t.equal(registry.statistics().series, 2);
  registry.advance(NOON + 1000);
  t.equal(registry.statistics().series, 2, 'not before its time');
  registry.advance(NOON + 1001);
  t.match(registry.statistics(), { series: 1, expired: 1 });
  registry.advance(NOON - 5000);
  t.equal(registry.statistics().series, 1, 'a clock that went back expires nothing');
  t.end();
});

t.test('numbers that no total can take are passed over and counted', async (t) => {
  const registry = feed(open(), [auth({}, { value: -1 }), auth({}, { value: Number.NaN }), auth({}, { value: 2 })]);
  t.match(await seriesOf(registry, 'mcp_auth_requests_total'), [{ value: 2 }]);
  t.equal(registry.statistics().ignored, 2);
});

t.test('an instrument starts anew when its labels or buckets are configured otherwise; the others go on', async (t) => {
  const events = [auth({ method: 'a' }, { durationMs: 3 }), { ...auth({}, { type: 'tool_discovery', durationMs: 3 }) }];
  const stored = state(feed(open(), events));

  const buckets = open({ histogramBoundaries: [1, 2] });
  t.strictSame(restoreRegistry(buckets, stored), [
    'mcp_auth_request_duration_seconds',
    'mcp_tool_discovery_duration_seconds',
  ]);
  t.strictSame(
    (await collect(buckets)).map(({ descriptor }) => descriptor.name),
    ['mcp_auth_requests_total', 'mcp_tool_discovery_total'],
  );

  const labels = open({ labels: { auth_request: ['server'] } });
  t.strictSame(restoreRegistry(labels, stored), ['mcp_auth_requests_total', 'mcp_auth_request_duration_seconds']);
  t.strictSame(
    (await collect(labels)).map(({ descriptor }) => descriptor.name),
    ['mcp_tool_discovery_total', 'mcp_tool_discovery_duration_seconds'],
  );
  t.equal(labels.statistics().series, 2);
});

t.test('options that make no sense are refused by name', (t) => {
  for (const [options, message] of [
    [{ histogramBoundaries: [] }, /histogramBoundaries/],
    [{ histogramBoundaries: [2, 1] }, /histogramBoundaries.*ascending/],
    [{ maxSeries: 0 }, /maxSeries.*got 0/],
    [{ expireAfterMs: -1 }, /expireAfterMs/],
    [{ labels: { auth_request: ['le'] } }, /labels\.auth_request: "le"/],
    [{ labels: { auth_request: ['a-b'] } }, /"a-b" cannot be a label/],
    [{ labels: { auth_request: ['server', 'server'] } }, /twice/],
    [{ labels: { unknown: ['server'] } as object }, /"unknown" is no metric type/],
  ] as const) {
    t.throws(() => resolveSeriesSettings(options), message);
  }
  t.end();
});
