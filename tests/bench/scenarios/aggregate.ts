/** Aggregation: the series registry against the SDK's `counter.add` + `histogram.record`. See ../aggregate.ts. */
import type { Scenario } from '../scenario.ts';
import { runScript } from '../script.ts';

interface Printed {
  readonly sdkMicroseconds: number;
  readonly registryMicroseconds: number;
  readonly ratio: number;
}

export const scenario: Scenario = async ({ rounds }) => {
  const { sdkMicroseconds, registryMicroseconds, ratio } = JSON.parse(
    await runScript('aggregate.ts', ['--json', '--rounds', String(rounds)]),
  ) as Printed;
  return [
    {
      what: 'one event into its series',
      value: registryMicroseconds,
      unit: 'µs',
      baseline: { what: "the SDK's add + record", value: sdkMicroseconds },
      ratio,
      goal: { atMost: 0.15 },
    },
  ];
};
