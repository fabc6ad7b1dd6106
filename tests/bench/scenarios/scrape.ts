/**
 * A scrape of 1,000 and of 10,000 histogram series: duration, bytes, and how long ingest stalls at a gateway's door. Of the totals
 * alone, in a process with nothing else to do, the longest turn of the event loop. See ../scrape.ts and ../scrape-door.ts.
 */
import type { Figure, Scenario } from '../scenario.ts';
import { scrapeAtTheDoor } from '../scrape-door.ts';
import { runScript } from '../script.ts';

interface Printed {
  readonly results: readonly {
    readonly series: number;
    readonly gzip: boolean;
    readonly ms: number;
    readonly bytes: number;
    readonly stallMs: number;
    readonly stallCpuMs: number;
  }[];
  readonly sdkSerializerMsAt1000: number;
}

export const scenario: Scenario = async (settings) => {
  const { rounds, small } = settings;
  const output = await runScript('scrape.ts', ['--json', '--rounds', String(rounds), ...(small ? ['--small'] : [])]);
  const { results, sdkSerializerMsAt1000 } = JSON.parse(output) as Printed;
  const baseline = { what: "the SDK's serialiser, all of it a stall", value: sdkSerializerMsAt1000 };
  const atTheDoor: Figure[] = [];
  for (const series of small ? [1_000] : [1_000, 10_000]) atTheDoor.push(...(await scrapeAtTheDoor(settings, series)));
  const ofTotals = results.flatMap(({ series, gzip, ms, bytes, stallMs, stallCpuMs }): Figure[] => {
    const name = `${series.toLocaleString('en-US')} series${gzip ? ', gzip' : ''}`;
    return [
      {
        what: `${name}: duration`,
        value: ms,
        unit: 'ms',
        ...(series === 1000 && !gzip ? { baseline, ratio: ms / sdkSerializerMsAt1000 } : undefined),
      },
      { what: `${name}: size`, value: bytes / 1e6, unit: 'MB' },
      { what: `${name}: longest turn of the event loop`, value: stallMs, unit: 'ms' },
      { what: `${name}: CPU of that turn`, value: stallCpuMs, unit: 'ms' },
    ];
  });
  return [...ofTotals, ...atTheDoor];
};
