/** Each check of the sinks' contract finds a sink that breaks it, and passes the README's sink. */
import { mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import t from 'tap';
import { Unacceptable, type Sink } from '../../src/index.ts';
import { sinkContract } from '../../src/testing/index.ts';
import { ndjson } from '../own-plugins/ndjson.ts';

t.test('the README’s sink keeps the contract', async (t) => {
  const checks = sinkContract({
    make: async (folder) => {
      await mkdir(join(folder, 'out'), { recursive: true });
      return ndjson(join(folder, 'out/events.ndjson'));
    },
    outage: {
      begin: (folder) => rm(join(folder, 'out'), { recursive: true, force: true }),
      end: (folder) => mkdir(join(folder, 'out')),
    },
  });
  for (const { name, check } of checks) await t.resolves(check(), name);
});

const good: Sink = { name: 'good', whenFull: 'skip', write: async () => {} };
const checkpoint = { journalId: 'other', sequence: 1, count: 1 };
const away = { begin: () => {}, end: () => {} };

/** A sink that breaks the contract, and the check that finds it. */
const BREAKERS: readonly [check: RegExp, sink: Sink, message: RegExp][] = [
  [/^has a name/, { ...good, name: 'Not A Name' }, /must match/],
  [/^has a name/, { ...good, whenFull: 'wait' as 'skip' }, /whenFull is wait/],
  [
    /^stops without/,
    { ...good, stop: () => Promise.reject(new Error('not open')) },
    /stop before start failed: not open/,
  ],
  [/^takes batches/, { ...good, write: () => Promise.reject(new Error('no')) }, /write failed: no/],
  [/^takes an empty/, { ...good, write: async ({ events }) => void events[0]!.type }, /write of no events failed/],
  [
    /^takes the same batch again/,
    (() => {
      const seen = new Set<string>();
      const write: Sink['write'] = async ({ events }) => {
        for (const { id } of events) {
          if (seen.has(id)) throw new Error('a duplicate');
          seen.add(id);
        }
      };
      return { ...good, write };
    })(),
    /same batch failed: a duplicate/,
  ],
  [
    /^leaves what/,
    { ...good, write: async ({ events }) => void Object.assign(events[0]!, { value: 2 }) },
    /frozen events failed/,
  ],
  [
    /^leaves what/,
    { ...good, write: async ({ records }) => void records[0]!.payload.fill(0) },
    /changed or took away the bytes/,
  ],
  [/^says where it is/, { ...good, checkpoint: async () => checkpoint }, /checkpoint after a restart is .*other/],
  [/^tells its health/, { ...good, health: () => ({}) as never }, /health gives/],
  [/^rejects while/, good, /resolved though its destination was away/],
  [
    /^rejects while/,
    { ...good, write: () => Promise.reject(new Unacceptable('never')) },
    /threw Unacceptable in an outage/,
  ],
];

for (const [pattern, sink, message] of BREAKERS) {
  t.test(`the check “${pattern.source.slice(1)} …” finds one that does not: ${message.source}`, async (t) => {
    const found = sinkContract({ make: () => sink, outage: away }).find(({ name }) => pattern.test(name));
    await t.rejects(async () => found?.check(), { name: 'ContractError', message });
  });
}
