/**
 * A scrape of many histogram series: how long it takes, how large it is, and how long it stalls the thread that answers
 * HTTP. `node tests/bench/scrape.ts [--json] [--rounds 5] [--small]`; the SDK's serialiser on the same series is the baseline at 1,000.
 */
import { fork } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { PrometheusSerializer } from '@opentelemetry/exporter-prometheus';
import { emptyResource } from '@opentelemetry/resources';
import type { Log } from '../../src/core/ports.ts';
import { createMetricProducer } from '../../src/sinks/otel/metric-producer.ts';
import { prometheus } from '../../src/sinks/otel/prometheus.ts';
import { resolveSeriesSettings } from '../../src/sinks/otel/instruments.ts';
import { SeriesRegistry } from '../../src/sinks/otel/series-registry.ts';
import { readRecord } from '../../src/core/record.ts';
import { systemClock } from '../../src/telemetry/system-clock.ts';
import { createTelemetry } from '../../src/telemetry/telemetry.ts';
import { askChild } from './ask-child.ts';
import type { ScrapeOrder, ScrapeResult } from './scraper.ts';
import { manySeries, type WorstTurn, worstTurn } from './totals-of-many-series.ts';

const { values } = parseArgs({
  options: { json: { type: 'boolean' }, rounds: { type: 'string', default: '5' }, small: { type: 'boolean' } },
});

const median = (numbers: readonly number[]): number =>
  numbers.toSorted((a, b) => a - b)[Math.floor(numbers.length / 2)]!;

const scraper = fork(new URL('./scraper.ts', import.meta.url));

async function scrapeMany(series: number, gzip: boolean) {
  const directory = mkdtempSync(join(tmpdir(), 'bench-scrape-'));
  let port = 0;
  const log: Log = {
    debug() {},
    info: (fields) => void (port = (fields as { port?: number }).port ?? port),
    warn: console.error,
    error: console.error,
    child: () => log,
  };
  const reader = prometheus({ port: 0 });
  const totals = reader.openTotals([reader], { maxLabelValues: 1_000 });
  await totals.start?.({ log, clock: systemClock, telemetry: createTelemetry(), dataDirectory: directory });
  const journal = manySeries(series);
  const nothing = { journalId: journal.end().journalId, sequence: 0, count: 0 };
  totals.resume?.(nothing, journal.end());
  await totals.write(journal.after(nothing)!, new AbortController().signal);
  const rounds: (ScrapeResult & { stall: WorstTurn; idle: WorstTurn })[] = [];
  for (let round = 0; round < Number(values.rounds) + 1; round += 1) {
    let scrape = { ms: 0, bytes: 0 };
    const idle = await worstTurn(() => new Promise((resolve) => setTimeout(resolve, 500)));
    const stall = await worstTurn(async () => {
      scrape = await askChild<ScrapeResult>(scraper, { port, gzip } satisfies ScrapeOrder);
    });
    if (round > 0) rounds.push({ ...scrape, stall, idle });
  }
  await totals.stop?.();
  rmSync(directory, { recursive: true });
  return {
    series,
    gzip,
    ms: median(rounds.map((each) => each.ms)),
    bytes: rounds[0]!.bytes,
    stallMs: median(rounds.map((each) => each.stall.wallMs)),
    stallCpuMs: median(rounds.map((each) => each.stall.cpuMs)),
    idleMs: median(rounds.map((each) => each.idle.wallMs)),
  };
}

/** @returns milliseconds; the first round warms up, as that of the scrapes does */
async function sdkSerializer(series: number): Promise<number> {
  const registry = new SeriesRegistry(resolveSeriesSettings({ maxLabelValues: 1_000 }));
  for (const record of manySeries(series).records) {
    for (const event of readRecord(record).events) registry.record('auth-server', event);
  }
  const producer = createMetricProducer({ registry, resource: emptyResource(), version: '0', now: Date.now });
  const { resourceMetrics } = await producer.collect();
  const serializer = new PrometheusSerializer();
  const rounds = Array.from({ length: Number(values.rounds) + 1 }, () => {
    const start = performance.now();
    serializer.serialize(resourceMetrics);
    return performance.now() - start;
  });
  return median(rounds.slice(1));
}

const results = [];
for (const series of values.small === true ? [1_000] : [1_000, 10_000])
  for (const gzip of [false, true]) results.push(await scrapeMany(series, gzip));
scraper.kill();
const sdkMs = await sdkSerializer(1_000);
if (values.json === true) console.log(JSON.stringify({ results, sdkSerializerMsAt1000: sdkMs }));
else {
  for (const { series, gzip, ms, bytes, stallMs, stallCpuMs, idleMs } of results) {
    console.log(
      `${series} histogram series${gzip ? ', gzip' : ''}: ${ms.toFixed(0)} ms, ${(bytes / 1e6).toFixed(1)} MB, stall ${stallMs.toFixed(1)} ms (goal ≤ 25), ${stallCpuMs.toFixed(1)} of it CPU; without a scrape ${idleMs.toFixed(1)}`,
    );
  }
  console.log(`SDK's serialiser alone, 1,000 series: ${sdkMs.toFixed(0)} ms, all of it a stall`);
}
