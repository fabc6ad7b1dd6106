/** How long a scrape of many histogram series makes senders wait at the door of a gateway as it is published. */
import { type ChildProcess, fork } from 'node:child_process';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Waited } from './door-client.ts';
import { offerSeries } from './offer-series.ts';
import { type Figure, median, type Settings } from './scenario.ts';
import type { ScrapeOrder, ScrapeResult } from './scraper.ts';
import { startServer } from './servers.ts';

const SCRAPES_A_ROUND = 4;

/** Sends the message and waits for the answer. */
const ask = <Answer>(child: ChildProcess, message: object): Promise<Answer> =>
  new Promise((resolve, reject) => {
    const ended = (code: number | null): void => reject(new Error(`a client of the scrape ended with ${code}`));
    child.once('exit', ended);
    child.once('message', (answer) => {
      child.off('exit', ended);
      resolve(answer as Answer);
    });
    child.send(message);
  });

export async function stallAtTheDoor(settings: Settings, series: number): Promise<Figure[]> {
  const server = await startServer(settings);
  const scraper = fork(new URL('./scraper.ts', import.meta.url));
  const client = fork(new URL('./door-client.ts', import.meta.url));
  const order: ScrapeOrder = { port: Number(new URL(server.gateway.scrapeUrl).port), gzip: false };
  const waited = (): Promise<Waited> => ask<Waited>(client, {});
  try {
    await offerSeries(server, series);
    client.send({ url: server.url, key: server.keys[0] });
    // Both warm up, and it shows how long a scrape takes.
    let { ms } = await ask<ScrapeResult>(scraper, order);
    await sleep(settings.small ? 100 : 2000);
    await waited();
    const rounds: { beside: Waited; without: Waited }[] = [];
    for (let round = 0; round < settings.rounds * SCRAPES_A_ROUND; round += 1) {
      await sleep(ms);
      const without = await waited();
      ({ ms } = await ask<ScrapeResult>(scraper, order));
      rounds.push({ without, beside: await waited() });
      // What the scrape has left to do, its garbage above all, is not the next one's time without.
      await sleep(settings.small ? 0 : 500);
      await waited();
    }
    const longest = (which: 'beside' | 'without'): number => median(rounds.map((one) => one[which].longest));
    const failed = rounds.reduce((sum, { beside, without }) => sum + beside.failed + without.failed, 0);
    const name = `${series.toLocaleString('en-US')} series, at the gateway's door`;
    return [
      { what: `${name}: the longest wait for a 200 beside a scrape`, value: longest('beside'), unit: 'ms' },
      { what: `${name}: the usual longest in as long a time without`, value: longest('without'), unit: 'ms' },
      {
        what: `${name}: stall of ingest, the one less the other`,
        value: Math.max(0, longest('beside') - longest('without')),
        unit: 'ms',
        goal: { atMost: 25 },
      },
      { what: `${name}: requests refused or failed`, value: failed, unit: '', goal: { atMost: 0 } },
    ];
  } finally {
    client.kill();
    scraper.kill();
    await server.stop();
  }
}
