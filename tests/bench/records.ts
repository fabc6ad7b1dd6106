/** Recorded traffic without end, as the journal's records: times that go on, request ids of their own. */
import { randomBytes } from 'node:crypto';
import type { Checkpoint } from '../../src/core/journal.ts';
import type { DeliveredRecord } from '../../src/core/sink.ts';
import { bodies, bodyCount } from './bodies.ts';

export interface RecordStream {
  /** The next records: `metrics` metrics or a few more. */
  readonly next: (metrics: number) => DeliveredRecord[];
  readonly checkpoint: () => Checkpoint;
}

export interface RecordStreamOptions {
  readonly perRequest: number;
  /** Milliseconds since the Unix epoch of the first metric, and between two. */
  readonly startsAt: number;
  readonly stepMs: number;
  /** Where the records before have come to. */
  readonly after?: Checkpoint;
}

const encoder = new TextEncoder();

export function recordStream({ perRequest, startsAt, stepMs, after }: RecordStreamOptions): RecordStream {
  const journalId = after?.journalId ?? 'bench';
  let [sequence, count] = [after?.sequence ?? 0, after?.count ?? 0];
  let now = startsAt;
  const pool = bodies(perRequest, bodyCount(perRequest));

  function record(): DeliveredRecord {
    sequence += 1;
    const body = pool[sequence % pool.length]!;
    for (const metric of body.metrics) {
      now += stepMs;
      metric.timestamp = new Date(now).toISOString().replace('Z', '123');
      metric.metadata['request_id'] = `req_${randomBytes(8).toString('hex')}`;
    }
    const metrics = body.metrics.length;
    count += metrics;
    const envelope = {
      f: 'json',
      q: `req_${randomBytes(16).toString('hex')}`,
      t: now + 40,
      k: 'key_0',
      s: 'auth-server',
    };
    return {
      sequence,
      count,
      metrics,
      from: 0,
      to: metrics,
      envelope: encoder.encode(JSON.stringify(envelope)),
      payload: encoder.encode(JSON.stringify(body)),
    };
  }

  return {
    next: (metrics) => Array.from({ length: Math.ceil(metrics / perRequest) }, record),
    checkpoint: () => ({ journalId, sequence, count }),
  };
}
