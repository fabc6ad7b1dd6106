/**
 * Sends requests at even distances, whatever the server does, over a fixed number of connections; one that is late counts
 * from when it was due. Until its own code is compiled and its connections stand, it measures itself: those latencies are
 * left out. A process of its own. One order by message, one result by message, then it ends.
 */
import { Agent, request } from 'node:http';
import { quantile } from './scenario.ts';

export interface PacedOrder {
  readonly url: string;
  readonly keys: readonly string[];
  readonly bodies: readonly string[];
  readonly connections: number;
  readonly seconds: number;
  readonly perSecond: number;
  /** Of `seconds`, at the begin: sent and counted like the rest, their latencies not. */
  readonly warmUpSeconds: number;
}

export interface PacedResult {
  readonly ok: number;
  readonly refused: number;
  readonly failed: number;
  readonly seconds: number;
  /** Milliseconds from when a request was due to the end of its answer. */
  readonly p50: number;
  readonly p99: number;
  readonly p999: number;
}

/** @throws RangeError where there is no rate to keep */
async function run({
  url,
  keys,
  bodies,
  connections,
  seconds,
  perSecond,
  warmUpSeconds,
}: PacedOrder): Promise<PacedResult> {
  if (!(perSecond > 0)) throw new RangeError(`${perSecond} requests a second: expected a rate above 0`);
  const agent = new Agent({ keepAlive: true, maxSockets: connections });
  const messages = bodies.map((text, at) => {
    const body = Buffer.from(text);
    const headers = {
      'content-type': 'application/json',
      'content-length': body.length,
      'x-api-key': keys[at % keys.length],
    };
    return { body, headers };
  });
  const latencies: number[] = [];
  const counts = { ok: 0, refused: 0, failed: 0 };
  const underWay = new Set<Promise<void>>();
  const send = ({ body, headers }: (typeof messages)[number], due: number): Promise<void> =>
    new Promise((resolve) => {
      const fail = (): void => {
        counts.failed += 1;
        resolve();
      };
      const sent = request(url, { agent, method: 'POST', headers }, (response) => {
        response.resume();
        response.on('error', fail);
        response.on('end', () => {
          if (due >= start + warmUpSeconds * 1000) latencies.push(performance.now() - due);
          const { statusCode } = response;
          counts[statusCode === 200 ? 'ok' : statusCode === 503 ? 'refused' : 'failed'] += 1;
          resolve();
        });
      });
      sent.on('error', fail);
      sent.end(body);
    });
  const start = performance.now();
  const total = Math.max(1, Math.round(seconds * perSecond));
  for (let next = 0; next < total;) {
    const now = performance.now();
    for (; next < total && start + (next * 1000) / perSecond <= now; next += 1) {
      const one = send(messages[next % messages.length]!, start + (next * 1000) / perSecond);
      underWay.add(one);
      one.finally(() => underWay.delete(one)).catch(() => {});
    }
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
  await Promise.all(underWay);
  agent.destroy();
  return {
    ...counts,
    seconds: (performance.now() - start) / 1000,
    p50: quantile(latencies, 0.5),
    p99: quantile(latencies, 0.99),
    p999: quantile(latencies, 0.999),
  };
}

process.once('message', (order) => {
  run(order as PacedOrder).then(
    (result) => process.send?.(result, () => process.disconnect()),
    (error: unknown) => {
      console.error(error);
      process.exit(1);
    },
  );
});
