/** A client whose metrics stay in the test: everything is real but the network. */
import { gunzipSync } from 'node:zlib';
import { createMetricsClient, type MetricsClient, type MetricsClientOptions } from '../../src/client/index.ts';
import type { SeenRequest, SentMetric } from './stand-in-gateway.ts';

export interface CapturedMetrics {
  readonly client: MetricsClient;
  /** All metrics so far, of one type where one is named. */
  readonly metrics: (type?: string) => Promise<readonly SentMetric[]>;
}

export function captureMetrics(options: MetricsClientOptions = {}): CapturedMetrics {
  const captured: SentMetric[] = [];
  const client = createMetricsClient({
    apiKey: 'test',
    service: 'test',
    flushIntervalMs: 3_600_000,
    fetch: (_, init) => {
      const body = Buffer.from(init!.body as Uint8Array);
      const zipped = new Headers(init!.headers).get('content-encoding') === 'gzip';
      const { metrics } = JSON.parse((zipped ? gunzipSync(body) : body).toString()) as SeenRequest['body'];
      captured.push(...metrics);
      return Promise.resolve(Response.json({ status: 'success', accepted: metrics.length, rejected: 0 }));
    },
    ...options,
  });
  return {
    client,
    metrics: async (type) => {
      await client.flush();
      return captured.filter((metric) => type === undefined || metric.type === type);
    },
  };
}
