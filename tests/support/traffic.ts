/** The recorded traffic of a real emitter (tests/fixtures/auth-server.ndjson), replayed as if it happened now. */
import { readFileSync } from 'node:fs';
import { Agent, request } from 'node:http';
import { join } from 'node:path';

const FIXTURE = join(import.meta.dirname, '../fixtures/auth-server.ndjson');

/** What the recording holds, as its notes say. */
export const RECORDED = {
  requests: 2553,
  metrics: 3580,
  auth_request: 929,
  tool_execution: 929,
  protocol_latency: 1722,
} as const;

interface RecordedBody {
  readonly metrics: { type: string; timestamp: string; duration_ms: number | null }[];
}

const recordedBodies = (): RecordedBody[] =>
  readFileSync(FIXTURE, 'utf8')
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as RecordedBody);

/** The bodies in their order, with every timestamp shifted by the same span so that the last one is `endsAt`. */
export function recordedTraffic(endsAt: number = Date.now()): string[] {
  const bodies = recordedBodies();
  // The emitter writes UTC without an offset, in microseconds.
  const millisecondsOf = (timestamp: string): number => Date.parse(`${timestamp.slice(0, 23)}Z`);
  const last = Math.max(...bodies.flatMap(({ metrics }) => metrics.map(({ timestamp }) => millisecondsOf(timestamp))));
  return bodies.map((body) => {
    for (const metric of body.metrics) {
      const shifted = new Date(millisecondsOf(metric.timestamp) + (endsAt - last)).toISOString();
      metric.timestamp = shifted.slice(0, -1) + metric.timestamp.slice(23);
    }
    return JSON.stringify(body);
  });
}

/** Exact quantiles of the recorded durations in seconds, and the default bucket boundaries to hold estimates against. */
export function recordedDurations(type: string): {
  readonly boundaries: readonly number[];
  readonly quantile: (q: number) => number;
} {
  const sorted = recordedBodies()
    .flatMap(({ metrics }) => metrics)
    .flatMap((metric) => (metric.type === type && metric.duration_ms !== null ? [metric.duration_ms / 1000] : []))
    .toSorted((a, b) => a - b);
  return {
    boundaries: [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300],
    quantile: (q) => sorted[Math.ceil(q * sorted.length) - 1] ?? Number.NaN,
  };
}

export interface Answer {
  readonly status: number;
  readonly body: string;
}

/** Sends bodies to `POST /metrics` over `connections` kept alive, and returns the answers in the bodies' order. */
export async function replay(
  url: string,
  key: string,
  bodies: readonly string[],
  connections = 8,
): Promise<readonly Answer[]> {
  const agent = new Agent({ keepAlive: true, maxSockets: connections });
  const answers: Answer[] = [];
  let next = 0;
  const send = async (): Promise<void> => {
    for (let index = next++; index < bodies.length; index = next++) {
      answers[index] = await post(agent, `${url}/metrics`, key, bodies[index] ?? '');
    }
  };
  try {
    await Promise.all(Array.from({ length: connections }, send));
  } finally {
    agent.destroy();
  }
  return answers;
}

const post = (agent: Agent, url: string, key: string, body: string): Promise<Answer> =>
  new Promise((resolve, reject) => {
    const headers = { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body), 'x-api-key': key };
    const sent = request(url, { agent, method: 'POST', headers }, (response) => {
      const chunks: Buffer[] = [];
      response.on('data', (chunk: Buffer) => chunks.push(chunk));
      response.on('error', reject);
      response.on('end', () => resolve({ status: response.statusCode ?? 0, body: Buffer.concat(chunks).toString() }));
    });
    sent.on('error', reject);
    sent.end(body);
  });
