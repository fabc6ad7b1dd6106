/**
 * One OTLP export of 1,000 and of 10,000 histogram series: of the totals alone, in a process with nothing else to do, and how long ingest
 * stalls at a gateway's door. See ../otlp-export.ts and ../export-door.ts.
 */
import { exportAtTheDoor } from '../export-door.ts';
import type { Figure, Scenario } from '../scenario.ts';
import { runScript } from '../script.ts';

interface Printed {
  readonly results: readonly {
    readonly series: number;
    readonly ms: number;
    readonly bytes: number;
    readonly stallMs: number;
    readonly stallCpuMs: number;
  }[];
}

export const scenario: Scenario = async (settings) => {
  const { rounds, small } = settings;
  const output = await runScript('otlp-export.ts', [
    '--json',
    '--rounds',
    String(rounds),
    ...(small ? ['--small'] : []),
  ]);
  const { results } = JSON.parse(output) as Printed;
  const atTheDoor: Figure[] = [];
  for (const series of small ? [1_000] : [1_000, 10_000]) atTheDoor.push(...(await exportAtTheDoor(settings, series)));
  const ofTotals = results.flatMap(({ series, ms, bytes, stallMs, stallCpuMs }): Figure[] => {
    const name = `${series.toLocaleString('en-US')} series`;
    return [
      { what: `${name}: first to last request`, value: ms, unit: 'ms' },
      { what: `${name}: size`, value: bytes / 1e6, unit: 'MB' },
      { what: `${name}: longest turn of the event loop`, value: stallMs, unit: 'ms', goal: { atMost: 25 } },
      { what: `${name}: CPU of that turn`, value: stallCpuMs, unit: 'ms' },
    ];
  });
  return [...ofTotals, ...atTheDoor];
};
