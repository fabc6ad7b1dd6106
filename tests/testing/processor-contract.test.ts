/** The stage in tests/own-plugins keeps the contract of stages, and each check finds one that breaks it. */
import t from 'tap';
import type { Enriched, Processor } from '../../src/index.ts';
import { Refusal } from '../../src/index.ts';
import { processorContract } from '../../src/testing/index.ts';
import { enrich } from '../../src/processors/enrich.ts';
import { redact } from '../own-plugins/redact.ts';

type Stage = Processor<Enriched, Enriched>;

const good: Stage = { name: 'good', process: (batch) => batch };
const KEEPERS: Readonly<Record<string, Stage>> = {
  redact: redact('user_hash'),
  'one that does nothing': good,
  'one that drops all': { name: 'drop', process: (batch) => ({ ...batch, events: [] }) },
  'one that takes its time': {
    name: 'slow',
    process: (batch) => new Promise((resolve) => setImmediate(resolve, batch)),
  },
  'one that refuses': {
    name: 'strict',
    process: () => {
      throw new Refusal('invalid', 'not today');
    },
  },
};

for (const [what, stage] of Object.entries(KEEPERS)) {
  t.test(what, async (t) => {
    for (const { name, check } of processorContract({ make: () => stage })) await t.resolves(check(), name);
  });
}

const withEvent = (change: object): Stage => ({
  name: 'changes',
  process: (batch) => ({
    ...batch,
    events: batch.events.map((event) => ({ ...event, ...change })) as Enriched['events'],
  }),
});

/** A stage that breaks the contract, and the check that finds it. */
const BREAKERS: readonly [check: RegExp, stage: Stage, message: RegExp][] = [
  [/^has a name/, { ...good, name: '' }, /has a name/],
  [/^has a name/, { ...enrich(), process: good.process }, /built-in stages carry/],
  [/^stops without/, { ...good, stop: () => Promise.reject(new Error('not open')) }, /stop before start failed/],
  [/^passes on/, withEvent({ value: Number.NaN }), /value NaN/],
  [/^passes on/, withEvent({ type: 'nonsense' }), /type "nonsense"/],
  [/^passes on/, withEvent({ dimensions: { a: {} } }), /dimensions\.a of type object/],
  [/^passes on/, { ...good, process: (batch) => ({ ...batch, client: { ...batch.client } }) }, /who sent/],
  [
    /^passes on/,
    {
      ...good,
      process: () => {
        throw new TypeError('oops');
      },
    },
    /process threw TypeError: oops; only a Refusal/,
  ],
  [/^takes an empty/, { ...good, process: (batch) => (batch.events[0]!.type, batch) }, /process threw TypeError/],
  [/^leaves what/, { ...good, process: (batch) => Object.assign(batch, { events: [] }) }, /process threw TypeError/],
  [
    /^keeps requests apart/,
    (() => {
      let first: Enriched | undefined;
      return { ...good, process: (batch: Enriched) => (first ??= batch) };
    })(),
    /batch of another request/,
  ],
];

for (const [pattern, stage, message] of BREAKERS) {
  t.test(`the check “${pattern.source.slice(1)} …” finds one that does not: ${message.source}`, async (t) => {
    const found = processorContract({ make: () => stage }).find(({ name }) => pattern.test(name));
    await t.rejects(async () => found?.check(), { name: 'ContractError', message });
  });
}
