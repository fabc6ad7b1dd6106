/**
 * Baseline of the whole: the gateway as one would write it first. One thread, Hono, valibot on every metric, an SDK
 * instrument's `add` and `record` for each with the SDK's Prometheus and OTLP exporters behind, and Drizzle's multi-row
 * inserts into the tables of the service that this gateway replaces: a row in `metrics` and one in the table of its type,
 * an index for each look-up that docs/database-schema.md names. No rollups, no keys, and nothing is durable when it answers.
 * Arguments: the URL of a collector. Its first message is its port; `GET /written` says how many metrics are stored,
 * `GET /scrape` is for Prometheus.
 */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createAdaptorServer, type HttpBindings } from '@hono/node-server';
import { RESPONSE_ALREADY_SENT } from '@hono/node-server/utils/response';
import type { Attributes } from '@opentelemetry/api';
import { OTLPMetricExporter } from '@opentelemetry/exporter-metrics-otlp-proto';
import { PrometheusExporter } from '@opentelemetry/exporter-prometheus';
import { MeterProvider, PeriodicExportingMetricReader } from '@opentelemetry/sdk-metrics';
import Database from 'better-sqlite3';
import { drizzle } from 'drizzle-orm/better-sqlite3';
import { integer, real, sqliteTable, text } from 'drizzle-orm/sqlite-core';
import { Hono } from 'hono';
import * as v from 'valibot';
import { DEFAULT_LIMITS, moveWindow, newWindow } from '../../../src/processors/validate/metric-limits.ts';
import { createMetricSchema } from '../../../src/processors/validate/metric-schema.ts';
import { DEFAULT_BOUNDARIES, resolveSeriesSettings } from '../../../src/sinks/otel/instruments.ts';
import type { RecordedBody, RecordedMetric } from '../bodies.ts';

const ROWS_PER_FLUSH = 1000;
// Of 25, 100 and 500 what is fastest.
const ROWS_PER_INSERT = 100;

const event = () => ({
  id: integer().primaryKey({ autoIncrement: true }),
  requestId: text().notNull(),
  service: text().notNull(),
  timestamp: text().notNull(),
  durationMs: real(),
});
const metricsTable = sqliteTable('metrics', {
  ...event(),
  serviceVersion: text(),
  instanceId: text(),
  metricType: text().notNull(),
  value: real().notNull(),
  dimensions: text(),
  metadata: text(),
});
const authTable = sqliteTable('auth_metrics', {
  ...event(),
  success: integer(),
  method: text(),
  server: text(),
  userHash: text(),
  errorCode: text(),
});
const discoveryTable = sqliteTable('discovery_metrics', {
  ...event(),
  query: text(),
  resultsCount: integer(),
  topKServices: integer(),
  topNTools: integer(),
  embeddingTimeMs: real(),
  faissSearchTimeMs: real(),
});
const toolTable = sqliteTable('tool_metrics', {
  ...event(),
  toolName: text(),
  serverPath: text(),
  serverName: text(),
  success: integer(),
  errorCode: text(),
  inputSizeBytes: integer(),
  outputSizeBytes: integer(),
  clientName: text(),
  clientVersion: text(),
  method: text(),
  userHash: text(),
});
const LOOKUPS = {
  metrics: ['timestamp'],
  auth_metrics: ['timestamp', 'success', 'user_hash'],
  discovery_metrics: ['timestamp', 'results_count'],
  tool_metrics: ['timestamp', 'tool_name', 'client_name', 'method', 'success', 'user_hash'],
};

const directory = mkdtempSync(join(tmpdir(), 'bench-obvious-'));
process.on('exit', () => rmSync(directory, { recursive: true, force: true }));
const file = new Database(join(directory, 'metrics.db'));
file.pragma('journal_mode = WAL');
file.exec(readFileSync(new URL('../../fixtures/legacy-schema.sql', import.meta.url), 'utf8'));
for (const [table, columns] of Object.entries(LOOKUPS)) {
  for (const column of columns) file.exec(`CREATE INDEX ${table}_${column} ON ${table} (${column})`);
}
const db = drizzle(file, { casing: 'snake_case' });

const BOUNDARIES = [...DEFAULT_BOUNDARIES];
const prometheus = new PrometheusExporter({ preventServerStart: true });
const otlp = new OTLPMetricExporter({ url: `${process.argv[2] ?? ''}/v1/metrics` });
const meter = new MeterProvider({
  readers: [prometheus, new PeriodicExportingMetricReader({ exporter: otlp, exportIntervalMillis: 5000 })],
}).getMeter('obvious');
const instruments = new Map(
  resolveSeriesSettings().instruments.map(({ type, counter, histogram, labels }) => [
    type as string,
    {
      labels,
      counter: counter === undefined ? undefined : meter.createCounter(counter.name),
      histogram: meter.createHistogram(histogram.name, { unit: 's', advice: { explicitBucketBoundaries: BOUNDARIES } }),
    },
  ]),
);
const window = newWindow();
const metricSchema = createMetricSchema(DEFAULT_LIMITS, window);
const bodySchema = v.object({
  service: v.string(),
  version: v.optional(v.string()),
  metrics: v.array(metricSchema),
});

let waiting: (typeof metricsTable.$inferInsert)[] = [];
let auth: (typeof authTable.$inferInsert)[] = [];
let tools: (typeof toolTable.$inferInsert)[] = [];
let discoveries: (typeof discoveryTable.$inferInsert)[] = [];
let written = 0;

const slices = function* <T>(rows: readonly T[]): Generator<T[]> {
  for (let at = 0; at < rows.length; at += ROWS_PER_INSERT) yield rows.slice(at, at + ROWS_PER_INSERT);
};

function flush(): void {
  db.transaction((transaction) => {
    for (const rows of slices(waiting)) transaction.insert(metricsTable).values(rows).run();
    for (const rows of slices(auth)) transaction.insert(authTable).values(rows).run();
    for (const rows of slices(tools)) transaction.insert(toolTable).values(rows).run();
    for (const rows of slices(discoveries)) transaction.insert(discoveryTable).values(rows).run();
  });
  written += waiting.length;
  [waiting, auth, tools, discoveries] = [[], [], [], []];
}
setInterval(flush, 1000);

const textOf = (field: unknown): string | null => (typeof field === 'string' ? field : null);
const numberOf = (field: unknown): number | null => (typeof field === 'number' ? field : null);

function keep(metric: RecordedMetric, { service, version }: RecordedBody): void {
  const { type, timestamp, value, duration_ms: durationMs, dimensions, metadata } = metric;
  const event = { requestId: String(metadata['request_id']), service, timestamp, durationMs: durationMs ?? null };
  waiting.push({
    ...event,
    serviceVersion: version ?? null,
    instanceId: null,
    metricType: type,
    value,
    dimensions: JSON.stringify(dimensions),
    metadata: JSON.stringify(metadata),
  });
  const outcome = {
    ...event,
    success: Number(dimensions['success'] === true),
    method: textOf(dimensions['method']),
    userHash: textOf(dimensions['user_hash']),
    errorCode: textOf(metadata['error_code']),
  };
  if (type === 'auth_request') auth.push({ ...outcome, server: textOf(dimensions['server']) });
  else if (type === 'tool_execution') {
    tools.push({
      ...outcome,
      toolName: textOf(dimensions['tool_name']),
      serverPath: textOf(dimensions['server_path']),
      serverName: textOf(dimensions['server_name']),
      inputSizeBytes: numberOf(metadata['input_size_bytes']),
      outputSizeBytes: numberOf(metadata['output_size_bytes']),
      clientName: textOf(dimensions['client_name']),
      clientVersion: textOf(dimensions['client_version']),
    });
  } else if (type === 'tool_discovery') {
    discoveries.push({
      ...event,
      query: textOf(metadata['query']),
      resultsCount: numberOf(dimensions['results_count']),
      topKServices: numberOf(dimensions['top_k_services']),
      topNTools: numberOf(dimensions['top_n_tools']),
      embeddingTimeMs: numberOf(metadata['embedding_time_ms']),
      faissSearchTimeMs: numberOf(metadata['faiss_search_time_ms']),
    });
  }
}

function count({ type, value, duration_ms: duration, dimensions, metadata }: RecordedMetric, service: string): void {
  const { labels, counter, histogram } = instruments.get(type)!;
  const attributes: Attributes = { service, metric_type: type };
  for (const label of labels) {
    const found = dimensions[label] ?? metadata[label];
    if (found !== undefined && found !== null) attributes[label] = found;
  }
  counter?.add(value, attributes);
  if (counter === undefined) histogram.record(value, attributes);
  else if (typeof duration === 'number') histogram.record(duration / 1000, attributes);
}

const app = new Hono<{ Bindings: HttpBindings }>()
  .get('/written', (c) => c.json(written))
  .get('/scrape', (c) => {
    prometheus.getMetricsRequestHandler(c.env.incoming, c.env.outgoing);
    return RESPONSE_ALREADY_SENT;
  })
  .post('/metrics', async (c) => {
    moveWindow(window, Date.now(), 300_000, () => 90);
    const result = v.safeParse(bodySchema, await c.req.json());
    if (!result.success) return c.json({ detail: result.issues[0].message }, 422);
    const body = result.output as RecordedBody;
    for (const metric of body.metrics) {
      count(metric, body.service);
      keep(metric, body);
    }
    if (waiting.length >= ROWS_PER_FLUSH) flush();
    return c.json({ status: 'success', accepted: body.metrics.length });
  });
const server = createAdaptorServer({ fetch: app.fetch });
server.listen(0, '127.0.0.1', () => process.send?.((server.address() as AddressInfo).port));
process.on('disconnect', () => process.exit(0));
