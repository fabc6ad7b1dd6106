/**
 * Baseline of ingest: what `node:http` and `JSON.parse` cost at the least. Its first message is its port. With a database of
 * rows and a file to fill as arguments, a thread beside it inserts those rows; each message to it is that thread's share of a core.
 */
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { Worker } from 'node:worker_threads';

const server = createServer((request, response) => {
  const chunks: Buffer[] = [];
  request.on('data', (chunk: Buffer) => chunks.push(chunk));
  request.on('end', () => {
    const body = JSON.parse(Buffer.concat(chunks).toString()) as { metrics: unknown[] };
    const answer = JSON.stringify({ status: 'success', accepted: body.metrics.length });
    response.writeHead(200, { 'Content-Type': 'application/json', 'Content-Length': answer.length });
    response.end(answer);
  });
});

const [, , rows, target] = process.argv;
if (rows !== undefined) {
  const script = new URL('./inserting-thread.ts', import.meta.url);
  const beside = new Worker(script, { name: 'inserts', workerData: { rows, target } });
  process.on('message', (share) => beside.postMessage(share, []));
}
server.listen(0, '127.0.0.1', () => process.send?.((server.address() as AddressInfo).port));
process.on('disconnect', () => process.exit(0));
