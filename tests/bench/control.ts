/** Asks a gateway over its control socket, as the command line does. */
import { once } from 'node:events';
import { type IncomingMessage, request } from 'node:http';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import type { GatewayUnderTest } from './servers.ts';

export interface Asked {
  readonly ms: number;
  readonly text: string;
}

/** @throws Error for any other answer than 200 */
export async function ask({ gateway }: GatewayUnderTest, method: string, path: string, body?: object): Promise<Asked> {
  const start = performance.now();
  const headers = { 'content-type': 'application/json' };
  const sent = request({ socketPath: join(gateway.dataDirectory, 'control.sock'), method, path, headers });
  sent.end(body === undefined ? undefined : JSON.stringify(body));
  const [response] = (await once(sent, 'response')) as [IncomingMessage];
  const content = await text(response);
  if (response.statusCode !== 200) throw new Error(`${method} ${path}: ${response.statusCode} ${content}`);
  return { ms: performance.now() - start, text: content };
}
