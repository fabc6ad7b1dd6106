/**
 * Aggregation: the series registry against the SDK's counter.add + histogram.record, on the recorded events, in the same
 * rounds. Prints microseconds per metric and the ratio; `--json` for machines, `--rounds N` (default 7).
 */
import { readFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { readJsonMetric, type JsonMetric } from '../../src/core/json-events.ts';
import type { MetricEvent } from '../../src/core/metric.ts';
import { resolveSeriesSettings } from '../../src/sinks/otel/instruments.ts';
import { SeriesRegistry } from '../../src/sinks/otel/series-registry.ts';
import { sdkInstruments } from './baselines/sdk-instruments.ts';

const { values } = parseArgs({ options: { json: { type: 'boolean' }, rounds: { type: 'string', default: '7' } } });
const recorded = new URL('../fixtures/auth-server.ndjson', import.meta.url);

interface Body {
  readonly service: string;
  readonly metrics: JsonMetric[];
}

/** Bodies of 100 metrics each, as one service would send them. */
const bodies: string[] = [];
{
  const metrics = readFileSync(recorded, 'utf8')
    .trim()
    .split('\n')
    .flatMap((line) => (JSON.parse(line) as Body).metrics);
  for (let at = 0; at < metrics.length; at += 100) {
    bodies.push(JSON.stringify({ service: 'auth-server', metrics: metrics.slice(at, at + 100) }));
  }
}

const settings = resolveSeriesSettings();

function openRegistry(): (service: string, event: MetricEvent) => void {
  const registry = new SeriesRegistry(settings);
  registry.advance(Date.now());
  return (service, event) => registry.record(service, event);
}

const REPEATS = 20;

/** Each body is parsed just before it is recorded, as the thread does it; only the recording is timed. */
function measure(record: (service: string, event: MetricEvent) => void): number {
  let elapsed = 0;
  let count = 0;
  for (let repeat = 0; repeat < REPEATS; repeat += 1) {
    for (const text of bodies) {
      const { service, metrics } = JSON.parse(text) as Body;
      const events = metrics.map((raw) => readJsonMetric(raw, Date.now()));
      const start = performance.now();
      for (const event of events) record(service, event);
      elapsed += performance.now() - start;
      count += events.length;
    }
  }
  return (elapsed * 1000) / count;
}

const median = (numbers: readonly number[]): number =>
  numbers.toSorted((a, b) => a - b)[Math.floor(numbers.length / 2)]!;

const sdk = sdkInstruments(settings);
const registry = openRegistry();
const rounds: { sdk: number; registry: number }[] = [];
for (let round = 0; round < Number(values.rounds) + 1; round += 1) {
  const result = { sdk: measure(sdk), registry: measure(registry) };
  // The first round warms both up.
  if (round > 0) rounds.push(result);
}
const result = {
  rounds: rounds.length,
  sdkMicroseconds: median(rounds.map((each) => each.sdk)),
  registryMicroseconds: median(rounds.map((each) => each.registry)),
  ratio: median(rounds.map((each) => each.registry / each.sdk)),
};
console.log(
  values.json === true
    ? JSON.stringify(result)
    : `SDK add + record ${result.sdkMicroseconds.toFixed(2)} µs, registry ${result.registryMicroseconds.toFixed(2)} µs per metric: ${result.ratio.toFixed(3)} × (goal ≤ 0.15)`,
);
