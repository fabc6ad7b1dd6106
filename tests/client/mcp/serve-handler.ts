/** Serves what `createMcpHandler` of the 2.x packages makes, over real HTTP. */
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { toNodeHandler } from '@modelcontextprotocol/node';
import type { Test } from 'tap';

/** It ends with the test. */
export async function serveHandler(t: Test, handler: Parameters<typeof toNodeHandler>[0]): Promise<URL> {
  const listener = toNodeHandler(handler);
  const http = createServer((request, response) => void listener(request as never, response));
  http.listen(0, '127.0.0.1');
  await once(http, 'listening');
  t.teardown(() => {
    http.closeAllConnections();
    http.close();
  });
  return new URL(`http://127.0.0.1:${(http.address() as AddressInfo).port}`);
}
