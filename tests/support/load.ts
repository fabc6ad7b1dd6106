/**
 * Load from several clients at once, each event with an id of its own: what was answered 200 is known by id, and every
 * answer by its status and duration.
 */
import { randomInt } from 'node:crypto';
import { Agent, request } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';

export interface LoadOptions {
  readonly url: string;
  readonly key: string;
  readonly clients?: number;
  /** Metrics per request: a number, or a range of which each request takes one at random. Default 1 to 11. */
  readonly metrics?: number | readonly [least: number, most: number];
  /** Milliseconds that each client waits between an answer and its next request. Default 0. */
  readonly pauseMs?: number;
  /** Characters of ballast in each metric's metadata. Default 0. */
  readonly ballast?: number;
  /** Called the moment a 200 is here, with the ids that it stands for. */
  readonly onAcknowledged?: (ids: readonly string[]) => void;
  /** Told apart from the load before it. Default `load`. */
  readonly name?: string;
}

export interface Load {
  /** Ids that were answered 200, in the order of the answers. */
  readonly acknowledged: () => ReadonlySet<string>;
  /** How often each status was answered; 0 stands for no answer. */
  readonly statuses: () => ReadonlyMap<number, number>;
  /** Milliseconds until each 200. */
  readonly latencies: () => readonly number[];
  /** Answers other than 200, 429 and 503. */
  readonly surprises: () => readonly string[];
  /** Client names, which are also the events' `metric_name`. */
  readonly names: readonly string[];
  /** No new requests; resolves once those under way are answered. */
  readonly stop: () => Promise<void>;
}

interface Answered {
  readonly status: number;
  readonly body: string;
}

export function startLoad(options: LoadOptions): Load {
  const { url, key, clients = 4, metrics = [1, 11], pauseMs = 0, ballast = 0, name = 'load' } = options;
  const agent = new Agent({ keepAlive: true, maxSockets: clients });
  const acknowledged = new Set<string>();
  const statuses = new Map<number, number>();
  const latencies: number[] = [];
  const surprises: string[] = [];
  // A text may not be longer than that.
  const filler = Object.fromEntries(
    Array.from({ length: Math.ceil(ballast / 500) }, (_, at) => [
      `filler_${at}`,
      'x'.repeat(Math.min(500, ballast - at * 500)),
    ]),
  );
  let over = false;

  const client = async (metricName: string): Promise<void> => {
    for (let batch = 0; !over; batch += 1) {
      const size = typeof metrics === 'number' ? metrics : randomInt(metrics[0], metrics[1] + 1);
      const ids = Array.from({ length: size }, (_, index) => `${metricName}-${batch}-${index}`);
      const body = JSON.stringify({
        service: 'load',
        metrics: ids.map((id) => ({
          type: 'custom',
          value: 1,
          duration_ms: 1,
          dimensions: { metric_name: metricName },
          metadata: { event_id: id, ...filler },
        })),
      });
      const began = performance.now();
      const { status, body: answer } = await post(agent, `${url}/metrics`, key, body);
      statuses.set(status, (statuses.get(status) ?? 0) + 1);
      if (status === 200) {
        latencies.push(performance.now() - began);
        if ((JSON.parse(answer) as { accepted: number }).accepted === size) {
          options.onAcknowledged?.(ids);
          for (const id of ids) acknowledged.add(id);
        } else surprises.push(`200 without all of ${size} accepted: ${answer}`);
      } else if (status !== 0 && status !== 429 && status !== 503) surprises.push(`${status}: ${answer}`);
      // Nobody is there, or asks for patience: a client that tries again at once would be no client.
      if (status !== 200) await sleep(10);
      else if (pauseMs > 0) await sleep(pauseMs);
    }
  };

  const names = Array.from({ length: clients }, (_, index) => `${name}${index}`);
  const running = Promise.all(names.map(client));
  // Whoever stops the load sees it.
  running.catch(() => {});
  return {
    acknowledged: () => acknowledged,
    statuses: () => statuses,
    latencies: () => latencies,
    surprises: () => surprises,
    names,
    stop: async () => {
      over = true;
      await running;
      agent.destroy();
    },
  };
}

/** Never rejects: a connection that breaks off is an answer of status 0. */
const post = (agent: Agent, url: string, key: string, body: string): Promise<Answered> =>
  new Promise((resolve) => {
    const none = (error: Error): void => resolve({ status: 0, body: error.message });
    const headers = { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body), 'x-api-key': key };
    const sent = request(url, { agent, method: 'POST', headers, timeout: 20_000 }, (response) => {
      const chunks: Buffer[] = [];
      response.on('data', (chunk: Buffer) => chunks.push(chunk));
      response.on('error', none);
      response.on('end', () => resolve({ status: response.statusCode ?? 0, body: Buffer.concat(chunks).toString() }));
      response.on('close', () => none(new Error('the answer broke off')));
    });
    sent.on('timeout', () => sent.destroy(new Error('no answer in time')));
    sent.on('error', none);
    sent.end(body);
  });

/** The value below which a share of the sorted numbers lies. */
export const quantile = (values: readonly number[], share: number): number =>
  values.toSorted((a, b) => a - b)[Math.ceil(share * values.length) - 1] ?? Number.NaN;
