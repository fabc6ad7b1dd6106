import t from 'tap';
import { createTelemetry } from '../../src/telemetry/telemetry.ts';
import { registerProcessMetrics } from '../../src/telemetry/process-metrics.ts';
import { systemClock } from '../../src/telemetry/system-clock.ts';

const family = (telemetry: ReturnType<typeof createTelemetry>, name: string) =>
  telemetry.collect().find((each) => each.name === name);

t.test('a counter adds up per set of labels, in whatever order they stand', (t) => {
  const telemetry = createTelemetry();
  const counter = telemetry.counter({ name: 'x_total', help: 'x' });
  counter.add();
  counter.add(2, { a: '1', b: '2' });
  counter.add(3, { b: '2', a: '1' });
  t.equal(counter.value(), 1);
  t.equal(counter.value({ a: '1', b: '2' }), 5);
  t.equal(counter.value({ a: 'never' }), 0);
  t.same(family(telemetry, 'x_total')?.series, [
    { labels: {}, value: 1 },
    { labels: { a: '1', b: '2' }, value: 5 },
  ]);
  t.end();
});

t.test('a counter that counted nothing yet shows 0', (t) => {
  const telemetry = createTelemetry();
  const counter = telemetry.counter({ name: 'x_total', help: 'x' });
  t.same(family(telemetry, 'x_total')?.series, [{ labels: {}, value: 0 }]);
  counter.add(2, { a: '1' });
  t.same(family(telemetry, 'x_total')?.series, [{ labels: { a: '1' }, value: 2 }]);
  t.end();
});

t.test('a counter refuses to fall', (t) => {
  const counter = createTelemetry().counter({ name: 'x_total', help: 'x' });
  t.throws(() => counter.add(-1), RangeError);
  t.throws(() => counter.add(Number.NaN), RangeError);
  t.end();
});

t.test('the same name gives the same counter, and another kind under it is refused', (t) => {
  const telemetry = createTelemetry();
  const counter = telemetry.counter({ name: 'x_total', help: 'x' });
  t.equal(telemetry.counter({ name: 'x_total', help: 'x' }), counter);
  t.throws(() => telemetry.gauge({ name: 'x_total', help: 'x' }, () => 1), /registered as a counter/);
  t.throws(() => telemetry.counter({ name: 'x total', help: 'x' }), /no metric name/);
  t.end();
});

t.test('a gauge of several parts shows all their readings in one family', (t) => {
  const telemetry = createTelemetry();
  let queued = 1;
  telemetry.gauge({ name: 'queued', help: 'q' }, () => [[{ sink: 'a' }, queued]]);
  telemetry.gauge({ name: 'queued', help: 'q' }, () => [[{ sink: 'b' }, 7]]);
  queued = 4;
  t.same(family(telemetry, 'queued')?.series, [
    { labels: { sink: 'a' }, value: 4 },
    { labels: { sink: 'b' }, value: 7 },
  ]);
  t.end();
});

t.test('a reading that throws leaves its family out and is counted', (t) => {
  const telemetry = createTelemetry();
  telemetry.gauge({ name: 'broken', help: 'b' }, () => {
    throw new Error('no');
  });
  telemetry.gauge({ name: 'whole', help: 'w' }, () => 2);
  telemetry.collect();
  const families = telemetry.collect();
  t.notOk(families.some((each) => each.name === 'broken'));
  t.ok(families.some((each) => each.name === 'whole'));
  t.same(families.find((each) => each.name === 'mcp_gateway_self_metric_failures_total')?.series, [
    { labels: { instrument: 'broken' }, value: 1 },
  ]);
  t.end();
});

t.test('a bucket takes what equals its upper bound', (t) => {
  const telemetry = createTelemetry();
  const histogram = telemetry.histogram({ name: 'h', help: 'h' }, [1, 2]);
  for (const value of [0, 1, 1.5, 2, 3]) histogram.record(value);
  t.same(family(telemetry, 'h')?.series, [
    { labels: {}, value: { boundaries: [1, 2], counts: [2, 2, 1], sum: 7.5, count: 5 } },
  ]);
  t.throws(() => telemetry.histogram({ name: 'i', help: 'i' }, [2, 1]), /ascend/);
  t.end();
});

t.test('event-loop delay tells of a blocked thread', async (t) => {
  const telemetry = createTelemetry();
  const stop = registerProcessMetrics(telemetry, { version: '1.2.3' });
  const max = () =>
    Number(
      family(telemetry, 'mcp_gateway_event_loop_delay_seconds')?.series.find(
        ({ labels }) => labels['statistic'] === 'max',
      )?.value ?? 0,
    );
  const deadline = Date.now() + 5_000;
  while (max() < 0.05 && Date.now() < deadline) {
    const until = performance.now() + 100;
    while (performance.now() < until);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  t.ok(max() >= 0.05, `${max()} s`);
  t.equal(family(telemetry, 'mcp_gateway_build_info')?.series[0]?.labels['version'], '1.2.3');
  t.ok(Number(family(telemetry, 'process_cpu_seconds_total')?.series[0]?.value) > 0);
  stop();
});

t.test('a timer can be cancelled, and a month is no short delay', async (t) => {
  let fired = '';
  systemClock.after(1, () => (fired += 'cancelled')).cancel();
  const month = systemClock.after(31 * 86_400_000, () => (fired += 'month'));
  const keepAlive = setTimeout(() => {}, 5_000);
  await new Promise<void>((resolve) => systemClock.after(20, resolve));
  clearTimeout(keepAlive);
  month.cancel();
  t.equal(fired, '');
});
