/** Durable appends to the journal by 64 callers against `writev` of the same bytes. See ../journal.ts. */
import { compared, type Scenario } from '../scenario.ts';
import { runScript } from '../script.ts';

interface Printed {
  readonly metrics: number;
  readonly name: 'writev' | 'journal';
  readonly perSecond: number;
  readonly threadMicros: number;
}

export const scenario: Scenario = async ({ rounds, small }) => {
  const lines = (await runScript('journal.ts', [small ? '0.3' : '1', String(rounds)])).trim().split('\n');
  const printed = lines.map((line) => JSON.parse(line) as Printed);
  return [...new Set(printed.map(({ metrics }) => metrics))].flatMap((metrics) => {
    const of = (name: Printed['name']): Printed[] =>
      printed.filter((one) => one.metrics === metrics && one.name === name);
    const [raw, journal] = [of('writev'), of('journal')];
    const pairs = (key: 'perSecond' | 'threadMicros'): { value: number; baseline: number }[] =>
      journal.map((one, at) => ({ value: one[key], baseline: raw[at]![key] }));
    const against = 'writev alone';
    return [
      compared({ what: `durable appends of ${metrics} metrics`, unit: '/s', against }, pairs('perSecond')),
      compared(
        { what: `time of the thread for an append of ${metrics} metrics`, unit: 'µs', against },
        pairs('threadMicros'),
      ),
    ];
  });
};
