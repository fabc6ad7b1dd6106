/** Scrapes a gateway again and again while a test does its worst, and notes every sum that does not hold. */
import { setTimeout as sleep } from 'node:timers/promises';
import { imbalances, readSamples, type Sample } from './books.ts';

export interface BooksWatch {
  /** Pages that were read and balanced or not. */
  readonly scrapes: () => number;
  /** One sentence for each sum that did not hold. */
  readonly imbalances: () => readonly string[];
  /** The highest value that a series without labels had. */
  readonly highest: (name: string) => number;
  readonly latest: () => readonly Sample[];
  readonly stop: () => Promise<void>;
}

/** @param everyMs between two scrapes; a page that cannot be had (the gateway restarts) is passed over */
export function watchBooks(scrapeUrl: string, everyMs = 50): BooksWatch {
  const found: string[] = [];
  const highest = new Map<string, number>();
  let latest: readonly Sample[] = [];
  let scrapes = 0;
  let over = false;

  const look = async (): Promise<void> => {
    const response = await fetch(scrapeUrl, { signal: AbortSignal.timeout(10_000) });
    if (response.status !== 200) return;
    const page = await response.text();
    found.push(...imbalances(page).map((sentence) => `scrape ${scrapes}: ${sentence}`));
    latest = readSamples(page);
    for (const { name, labels, value } of latest) {
      if (Object.keys(labels).length === 0) highest.set(name, Math.max(value, highest.get(name) ?? 0));
    }
    scrapes += 1;
  };
  const watching = (async () => {
    while (!over) {
      await look().catch(() => {});
      await sleep(everyMs);
    }
  })();
  return {
    scrapes: () => scrapes,
    imbalances: () => found,
    highest: (name) => highest.get(name) ?? Number.NaN,
    latest: () => latest,
    stop: async () => {
      over = true;
      await watching;
    },
  };
}
