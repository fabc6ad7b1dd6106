/**
 * What a piece of work on many histogram series adds to the longest wait of small requests at the door of a gateway as it is
 * published, with ordinary ingest beside: the longest wait while it goes on, less the longest in as long a time directly before.
 */
import { fork } from 'node:child_process';
import { setTimeout as sleep } from 'node:timers/promises';
import { readSamples } from '../support/books.ts';
import { waitFor } from '../support/wait-for.ts';
import { askChild } from './ask-child.ts';
import type { Waited } from './door-client.ts';
import { pace } from './load.ts';
import { offerSeries } from './offer-series.ts';
import { type Figure, median, type Settings } from './scenario.ts';
import type { GatewayUnderTest } from './servers.ts';

export interface Work {
  /** As in "beside a scrape". */
  readonly name: string;
  /** Resolves once the next one is over. @returns milliseconds that the time without, before the one after, has to last */
  readonly once: () => Promise<number>;
  /** Milliseconds after one that are neither: what it has left to do, its garbage above all. */
  readonly settleMs: number;
}

/** Beside the one client that knocks, until the end: 2,000 metrics a second. */
const INGEST = { metrics: 10, connections: 16, perSecond: 200, seconds: 3600 };
const TURNS_A_ROUND = 4;
/** Until all that takes part is compiled. */
const WARM_UPS = 3;

/** @throws Error where the page does not have as many histogram series as were offered */
async function untilShown({ gateway }: GatewayUnderTest, series: number): Promise<void> {
  await waitFor(
    `a page with ${series} histogram series`,
    async () => {
      const shown = readSamples(await gateway.scrape()).filter(
        ({ name, labels }) =>
          name === 'mcp_tool_execution_duration_seconds_count' && labels['tool_name']?.startsWith('tool-') === true,
      ).length;
      if (shown !== series) throw new Error(`it has ${shown}`);
      return true;
    },
    { everyMs: 500 },
  );
}

export async function stallAtTheDoor(
  settings: Settings,
  server: GatewayUnderTest,
  series: number,
  work: Work,
): Promise<Figure[]> {
  await offerSeries(server, series);
  await untilShown(server, series);
  const client = fork(new URL('./door-client.ts', import.meta.url));
  const end = new AbortController();
  const ingest = pace(server, INGEST, end.signal);
  const waited = (): Promise<Waited> => askChild<Waited>(client, {});
  try {
    client.send({ url: server.url, key: server.keys[0] });
    let withoutMs = 0;
    for (let warmUp = 0; warmUp < (settings.small ? 1 : WARM_UPS); warmUp += 1) withoutMs = await work.once();
    const turns: { beside: Waited; without: Waited }[] = [];
    for (let turn = 0; turn < (settings.small ? 1 : settings.rounds * TURNS_A_ROUND); turn += 1) {
      await sleep(work.settleMs);
      await waited();
      await sleep(withoutMs);
      const without = await waited();
      withoutMs = await work.once();
      turns.push({ without, beside: await waited() });
    }
    end.abort();
    const { refused, failed } = await ingest;
    const added = turns.map(({ beside, without }) => beside.longest - without.longest);
    const longest = (which: 'beside' | 'without'): number => median(turns.map((one) => one[which].longest));
    const lost = turns.reduce((sum, { beside, without }) => sum + beside.failed + without.failed, refused + failed);
    const name = `${series.toLocaleString('en-US')} series, at the gateway's door`;
    return [
      { what: `${name}: the longest wait for a 200 beside ${work.name}`, value: longest('beside'), unit: 'ms' },
      { what: `${name}: the longest in as long a time without`, value: longest('without'), unit: 'ms' },
      {
        what: `${name}: stall of ingest by ${work.name}, the one less the other, turn by turn`,
        value: median(added),
        unit: 'ms',
        goal: { atMost: 25 },
      },
      { what: `${name}: the largest of ${turns.length} such differences`, value: Math.max(...added), unit: 'ms' },
      { what: `${name}: requests refused or failed`, value: lost, unit: '', goal: { atMost: 0 } },
    ];
  } finally {
    end.abort();
    client.kill();
    await Promise.allSettled([ingest]);
  }
}
