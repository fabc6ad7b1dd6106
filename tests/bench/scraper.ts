/** Scrapes once per message, in a process of its own, as in life. Ends where the answer is no page. */
import { get } from 'node:http';

export interface ScrapeOrder {
  readonly port: number;
  readonly gzip: boolean;
}

export interface ScrapeResult {
  readonly ms: number;
  readonly bytes: number;
}

process.on('message', ({ port, gzip }: ScrapeOrder) => {
  const start = performance.now();
  get({ port, path: '/metrics', headers: gzip ? { 'accept-encoding': 'gzip' } : {} }, (response) => {
    if (response.statusCode !== 200) throw new Error(`the scrape was answered with ${response.statusCode}`);
    let bytes = 0;
    response.on('data', (piece: Uint8Array) => (bytes += piece.byteLength));
    response.on('end', () => process.send?.({ ms: performance.now() - start, bytes } satisfies ScrapeResult));
  });
});
