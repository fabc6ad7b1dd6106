/** Journal records for benchmarks of the database: the recorded traffic over and over, with fresh ids and times that go on. */
import { randomBytes } from 'node:crypto';
import type { JsonBody } from '../../src/core/json-events.ts';
import type { DeliveredRecord } from '../../src/core/sink.ts';
import { recordedBodies } from '../sinks/sqlite/harness.ts';

interface Sent {
  timestamp: string;
  metadata: Record<string, unknown>;
}

const encoder = new TextEncoder();

/** @param perRequest metrics of a request; 0 as recorded */
export function trafficRecords(options: {
  readonly start: number;
  readonly stepMs: number;
  readonly perRequest: number;
}) {
  const recorded = recordedBodies();
  const all = recorded.flatMap((body) => body.metrics);
  const { perRequest } = options;
  const bodies: JsonBody[] =
    perRequest === 0
      ? recorded
      : Array.from({ length: Math.floor(all.length / perRequest) }, (_, at) => ({
          ...recorded[0]!,
          metrics: all.slice(at * perRequest, (at + 1) * perRequest),
        }));
  let now = options.start;
  let metrics = 0;
  let sequence = 0;
  let bodyAt = 0;

  const next = (): DeliveredRecord => {
    const body = bodies[bodyAt % bodies.length]!;
    bodyAt += 1;
    sequence += 1;
    for (const metric of body.metrics as Sent[]) {
      now += options.stepMs;
      metric.timestamp = new Date(now).toISOString().replace('Z', '123');
      metric.metadata['request_id'] = `req_${randomBytes(8).toString('hex')}`;
    }
    metrics += body.metrics.length;
    const requestId = `req_${randomBytes(16).toString('hex')}`;
    const envelope = { f: 'json', q: requestId, t: Math.floor(now) + 40, k: 'key_0', s: 'auth-server' };
    return {
      sequence,
      count: metrics,
      metrics: body.metrics.length,
      from: 0,
      to: body.metrics.length,
      envelope: encoder.encode(JSON.stringify(envelope)),
      payload: encoder.encode(JSON.stringify(body)),
    };
  };
  return {
    /** Records with at least so many metrics. */
    batch: (size: number): DeliveredRecord[] => {
      const until = metrics + size;
      const records: DeliveredRecord[] = [];
      while (metrics < until) records.push(next());
      return records;
    },
    checkpoint: () => ({ journalId: 'bench', sequence, count: metrics }),
  };
}
