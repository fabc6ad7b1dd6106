/**
 * Baseline of the whole: the gateway as one would write it first. One thread, Hono, valibot on every metric, an SDK
 * instrument's `add` and `record` for each, Drizzle's multi-row inserts into a row in `metrics` and one in the table of
 * its type; nothing is durable when it answers. Its first message is its port; `GET /written` says how many metrics are stored.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createAdaptorServer } from '@hono/node-server';
import { AggregationTemporality, MeterProvider, MetricReader } from '@opentelemetry/sdk-metrics';
import Database from 'better-sqlite3';
import { drizzle } from 'drizzle-orm/better-sqlite3';
import { index, integer, real, sqliteTable, text } from 'drizzle-orm/sqlite-core';
import { Hono } from 'hono';
import * as v from 'valibot';
import { DEFAULT_LIMITS, moveWindow, newWindow } from '../../../src/processors/validate/metric-limits.ts';
import { createBodySchema, createMetricSchema } from '../../../src/processors/validate/metric-schema.ts';
import type { RecordedBody } from '../bodies.ts';

const ROWS_PER_FLUSH = 1000;
const ROWS_PER_INSERT = 500;

const metricsTable = sqliteTable(
  'metrics',
  {
    id: integer().primaryKey({ autoIncrement: true }),
    requestId: text().notNull(),
    service: text().notNull(),
    type: text().notNull(),
    timestamp: text().notNull(),
    value: real().notNull(),
    durationMs: real(),
    dimensions: text(),
    metadata: text(),
  },
  (table) => [index('metrics_time').on(table.timestamp), index('metrics_type').on(table.type, table.timestamp)],
);
const detailsTable = sqliteTable(
  'details',
  {
    id: integer().primaryKey({ autoIncrement: true }),
    requestId: text().notNull(),
    timestamp: text().notNull(),
    durationMs: real(),
    success: integer(),
    name: text(),
    method: text(),
    userHash: text(),
  },
  (table) => [index('details_time').on(table.timestamp), index('details_name').on(table.name, table.timestamp)],
);

class Reader extends MetricReader {
  constructor() {
    super({ aggregationTemporalitySelector: () => AggregationTemporality.CUMULATIVE });
  }
  protected override onForceFlush(): Promise<void> {
    return Promise.resolve();
  }
  protected override onShutdown(): Promise<void> {
    return Promise.resolve();
  }
}

const directory = mkdtempSync(join(tmpdir(), 'bench-obvious-'));
process.on('exit', () => rmSync(directory, { recursive: true, force: true }));
const file = new Database(join(directory, 'metrics.db'));
file.pragma('journal_mode = WAL');
file.exec(`CREATE TABLE metrics (id INTEGER PRIMARY KEY AUTOINCREMENT, requestId TEXT NOT NULL, service TEXT NOT NULL,
    type TEXT NOT NULL, timestamp TEXT NOT NULL, value REAL NOT NULL, durationMs REAL, dimensions TEXT, metadata TEXT);
  CREATE INDEX metrics_time ON metrics (timestamp); CREATE INDEX metrics_type ON metrics (type, timestamp);
  CREATE TABLE details (id INTEGER PRIMARY KEY AUTOINCREMENT, requestId TEXT NOT NULL, timestamp TEXT NOT NULL,
    durationMs REAL, success INTEGER, name TEXT, method TEXT, userHash TEXT);
  CREATE INDEX details_time ON details (timestamp); CREATE INDEX details_name ON details (name, timestamp);`);
const db = drizzle(file);
const meter = new MeterProvider({ readers: [new Reader()] }).getMeter('obvious');
const counter = meter.createCounter('mcp_events');
const histogram = meter.createHistogram('mcp_duration', { unit: 's' });
const window = newWindow();
const metricSchema = createMetricSchema(DEFAULT_LIMITS, window);
const bodySchema = createBodySchema(DEFAULT_LIMITS, metricSchema);

let waiting: (typeof metricsTable.$inferInsert)[] = [];
let details: (typeof detailsTable.$inferInsert)[] = [];
let written = 0;

function flush(): void {
  if (waiting.length === 0) return;
  db.transaction((transaction) => {
    for (let at = 0; at < waiting.length; at += ROWS_PER_INSERT) {
      transaction
        .insert(metricsTable)
        .values(waiting.slice(at, at + ROWS_PER_INSERT))
        .run();
      transaction
        .insert(detailsTable)
        .values(details.slice(at, at + ROWS_PER_INSERT))
        .run();
    }
  });
  written += waiting.length;
  waiting = [];
  details = [];
}
setInterval(flush, 1000);

const app = new Hono()
  .get('/written', (c) => c.json(written))
  .post('/metrics', async (c) => {
    moveWindow(window, Date.now(), 300_000, () => 90);
    const result = v.safeParse(bodySchema, await c.req.json());
    if (!result.success) return c.json({ detail: result.issues[0].message }, 422);
    const { service, metrics } = result.output as RecordedBody;
    for (const { type, timestamp, value, duration_ms: duration, dimensions, metadata } of metrics) {
      const requestId = String(metadata['request_id']);
      const durationMs = duration ?? null;
      const labels = { service, metric_type: type, ...dimensions };
      counter.add(value, labels);
      if (durationMs !== null) histogram.record(durationMs / 1000, labels);
      const [dimensionsJson, metadataJson] = [JSON.stringify(dimensions), JSON.stringify(metadata)];
      waiting.push({
        requestId,
        service,
        type,
        timestamp,
        value,
        durationMs,
        dimensions: dimensionsJson,
        metadata: metadataJson,
      });
      const { success, method, user_hash: userHash, tool_name: tool, flow_step: step } = dimensions;
      details.push({
        requestId,
        timestamp,
        durationMs,
        success: Number(success === true),
        name: String(tool ?? step ?? ''),
        method: String(method ?? ''),
        userHash: String(userHash ?? ''),
      });
    }
    if (waiting.length >= ROWS_PER_FLUSH) flush();
    return c.json({ status: 'success', accepted: metrics.length });
  });
const server = createAdaptorServer({ fetch: app.fetch });
server.listen(0, '127.0.0.1', () => process.send?.((server.address() as AddressInfo).port));
process.on('disconnect', () => process.exit(0));
