/**
 * Knocks at a gateway's door, in a process of its own: small requests one after the other over one connection, and how long each
 * waited for its answer. The first message says where; each one after it asks for the longest wait since the one before.
 */
import { once } from 'node:events';
import { Agent, type IncomingMessage, request } from 'node:http';
import { text } from 'node:stream/consumers';
import { bodies } from './bodies.ts';

export interface Door {
  readonly url: string;
  readonly key: string;
}

/** Milliseconds; `failed`: another answer than 200. */
export interface Waited {
  readonly longest: number;
  readonly requests: number;
  readonly failed: number;
}

const agent = new Agent({ keepAlive: true, maxSockets: 1 });
const [body] = bodies(1, 1).map((one) => JSON.stringify(one));
let longest = 0;
let requests = 0;
let failed = 0;

async function knock({ url, key }: Door): Promise<void> {
  const headers = { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body!), 'x-api-key': key };
  const start = performance.now();
  const sent = request(url, { agent, method: 'POST', headers }).end(body);
  const [response] = (await once(sent, 'response')) as [IncomingMessage];
  await text(response);
  longest = Math.max(longest, performance.now() - start);
  requests += 1;
  if (response.statusCode !== 200) failed += 1;
}

async function run(door: Door): Promise<never> {
  for (;;) await knock(door);
}

process.once('message', (door) => {
  run(door as Door).catch((error: unknown) => {
    console.error(error);
    process.exit(1);
  });
  process.on('message', () => {
    process.send?.({ longest, requests, failed } satisfies Waited);
    [longest, requests, failed] = [0, 0, 0];
  });
});
