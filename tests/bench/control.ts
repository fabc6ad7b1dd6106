/** Asks a gateway over its control socket, as the command line does. */
import { request } from 'node:http';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import type { GatewayUnderTest } from './servers.ts';

export interface Asked {
  readonly ms: number;
  readonly text: string;
}

/** @throws Error for any other answer than 200 */
export function ask({ gateway }: GatewayUnderTest, method: string, path: string, body?: object): Promise<Asked> {
  const start = performance.now();
  const options = { socketPath: join(gateway.dataDirectory, 'control.sock'), method, path };
  return new Promise((resolve, reject) => {
    const sent = request({ ...options, headers: { 'content-type': 'application/json' } }, (response) => {
      text(response).then((content) => {
        if (response.statusCode === 200) resolve({ ms: performance.now() - start, text: content });
        else reject(new Error(`${method} ${path}: ${response.statusCode} ${content}`));
      }, reject);
    });
    sent.on('error', reject);
    sent.end(body === undefined ? undefined : JSON.stringify(body));
  });
}
