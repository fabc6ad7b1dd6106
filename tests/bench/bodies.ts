/** Bodies made of the recorded metrics of a real emitter (≈ 400 bytes each), with times of now and request ids of their own. */
import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';

export interface RecordedMetric {
  type: string;
  value: number;
  timestamp: string;
  duration_ms?: number | null;
  dimensions: Record<string, string | number | boolean>;
  metadata: Record<string, unknown>;
}

export interface RecordedBody {
  service: string;
  version?: string;
  metrics: RecordedMetric[];
}

const recorded = readFileSync(new URL('../fixtures/auth-server.ndjson', import.meta.url), 'utf8')
  .trim()
  .split('\n')
  .flatMap((line) => (JSON.parse(line) as RecordedBody).metrics);

/** As many bodies as send each recorded metric once, about 1.5 MB, so that the client's memory stays small. */
export const bodyCount = (metrics: number): number => Math.ceil(recorded.length / metrics);

/** @param count different bodies of `metrics` metrics each */
export function bodies(metrics: number, count: number, endsAt: number = Date.now()): RecordedBody[] {
  let at = 0;
  return Array.from({ length: count }, () => ({
    service: 'auth-server',
    version: '1.0.0',
    metrics: Array.from({ length: metrics }, () => {
      const metric = recorded[at % recorded.length]!;
      at += 1;
      return {
        ...metric,
        timestamp: new Date(endsAt).toISOString().replace('Z', '123'),
        metadata: { ...metric.metadata, request_id: `req_${randomBytes(8).toString('hex')}` },
      };
    }),
  }));
}
