/**
 * The collector of gateways under test and of tests/bench/otlp-export.ts: takes everything, and tells what an export was once no request came for a
 * moment. Its first message is its port.
 */
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';

export interface ByteCount {
  readonly bytes: number;
  readonly requests: number;
  /** From the first byte of the first request to the end of the last. */
  readonly ms: number;
  /** From the first byte to when it is told. */
  readonly toldAfterMs: number;
}

const QUIET_MS = 700;
let bytes = 0;
let requests = 0;
let first = 0;
let last = 0;
let quiet: NodeJS.Timeout | undefined;

const server = createServer((request, response) => {
  if (requests === 0) first = performance.now();
  requests += 1;
  clearTimeout(quiet);
  request.on('data', (piece: Buffer) => (bytes += piece.length));
  request.on('end', () => {
    response.writeHead(200).end();
    last = performance.now();
    quiet = setTimeout(() => {
      process.send?.({
        bytes,
        requests,
        ms: last - first,
        toldAfterMs: performance.now() - first,
      } satisfies ByteCount);
      bytes = 0;
      requests = 0;
    }, QUIET_MS);
  });
});
server.listen(0, '127.0.0.1', () => process.send?.((server.address() as AddressInfo).port));
// Ends with the process that started it.
process.on('disconnect', () => process.exit(0));
