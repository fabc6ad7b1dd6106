/** One OTLP export of 1,000 and of 10,000 histogram series. See ../otlp-export.ts. */
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

export const scenario: Scenario = async ({ rounds, small }) => {
  const output = await runScript('otlp-export.ts', [
    '--json',
    '--rounds',
    String(rounds),
    ...(small ? ['--small'] : []),
  ]);
  const { results } = JSON.parse(output) as Printed;
  return results.flatMap(({ series, ms, bytes, stallMs, stallCpuMs }): Figure[] => {
    const name = `${series.toLocaleString('en-US')} series`;
    return [
      { what: `${name}: first to last request`, value: ms, unit: 'ms' },
      { what: `${name}: size`, value: bytes / 1e6, unit: 'MB' },
      { what: `${name}: longest turn of the event loop`, value: stallMs, unit: 'ms', goal: { atMost: 25 } },
      { what: `${name}: CPU of that turn`, value: stallCpuMs, unit: 'ms' },
    ];
  });
};
