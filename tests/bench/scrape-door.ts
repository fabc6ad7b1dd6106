/** How long a scrape of many histogram series makes senders wait at a gateway's door. */
import { fork } from 'node:child_process';
import { askChild } from './ask-child.ts';
import type { Figure, Settings } from './scenario.ts';
import type { ScrapeOrder, ScrapeResult } from './scraper.ts';
import { startServer } from './servers.ts';
import { stallAtTheDoor } from './stall-at-the-door.ts';

export async function scrapeAtTheDoor(settings: Settings, series: number): Promise<Figure[]> {
  const server = await startServer(settings);
  const scraper = fork(new URL('./scraper.ts', import.meta.url));
  const order: ScrapeOrder = { port: Number(new URL(server.gateway.scrapeUrl).port), gzip: false };
  try {
    return await stallAtTheDoor(settings, server, series, {
      name: 'a scrape',
      once: async () => (await askChild<ScrapeResult>(scraper, order)).ms,
      settleMs: settings.small ? 0 : 500,
    });
  } finally {
    scraper.kill();
    await server.stop();
  }
}
