import assert from 'node:assert/strict';
import t from 'tap';
import fc from 'fast-check';
import type { Checkpoint } from '../../../src/core/journal.ts';
import { type DeliveredBatch, Unacceptable } from '../../../src/core/sink.ts';
import { resolveSeriesSettings } from '../../../src/sinks/otel/instruments.ts';
import { packRecords, unpackRecords } from '../../../src/core/record-transfer.ts';
import { storeRegistry } from '../../../src/sinks/otel/registry-state.ts';
import { openKeeper, type TotalsKeeper } from '../../../src/sinks/otel/totals-keeper.ts';
import { type Body, journalOf } from './journal-of.ts';

const settings = resolveSeriesSettings({ maxSeries: 20, maxLabelValues: 4 });
const open = (bytes?: Uint8Array): TotalsKeeper => openKeeper(settings, bytes).keeper;
const apply = (keeper: TotalsKeeper, { records, checkpoint }: DeliveredBatch): void =>
  keeper.apply(unpackRecords(packRecords(records)), checkpoint);
const state = (keeper: TotalsKeeper): unknown => JSON.parse(JSON.stringify(storeRegistry(keeper.registry)));

const body: fc.Arbitrary<Body> = fc.record({
  service: fc.constantFrom('auth', 'registry'),
  metrics: fc.array(
    fc.record({
      type: fc.constantFrom('auth_request', 'tool_execution', 'protocol_latency'),
      value: fc.nat(5),
      duration_ms: fc.nat(400_000),
      dimensions: fc.record({
        method: fc.constantFrom('a', 'b', 'c', 'd', 'e'),
        server_name: fc.constantFrom('x', 'y'),
      }),
    }),
    { minLength: 1, maxLength: 6 },
  ),
});

/** What may happen between a delivery and the totals. */
const step = fc.oneof(
  { weight: 6, arbitrary: fc.record({ kind: fc.constant('write' as const), metrics: fc.integer({ min: 1, max: 9 }) }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('again' as const), metrics: fc.integer({ min: 1, max: 9 }) }) },
  { weight: 2, arbitrary: fc.constant({ kind: 'snapshot' as const }) },
  { weight: 1, arbitrary: fc.constant({ kind: 'crash' as const }) },
);

t.test('whatever is written again, cut, snapshotted or lost: each event counts exactly once', (t) => {
  fc.assert(
    fc.property(fc.array(body, { maxLength: 30 }), fc.array(step, { maxLength: 60 }), (bodies, steps) => {
      const journal = journalOf(bodies);
      let keeper = open();
      let snapshot = keeper.encode();
      let before: Checkpoint | undefined;
      for (const each of steps) {
        switch (each.kind) {
          case 'write': {
            before = keeper.checkpoint();
            const batch = journal.after(before, each.metrics);
            if (batch !== undefined) apply(keeper, batch);
            break;
          }
          case 'again': {
            // The answer of the last write was lost: it comes again, cut otherwise.
            const batch = journal.after(before, each.metrics);
            if (batch !== undefined) apply(keeper, batch);
            break;
          }
          case 'snapshot':
            snapshot = keeper.encode();
            break;
          case 'crash':
            keeper = open(snapshot);
            before = keeper.checkpoint();
        }
      }
      const rest = journal.after(keeper.checkpoint());
      if (rest !== undefined) apply(keeper, rest);
      const whole = open();
      const all = journal.after(undefined);
      if (all !== undefined) apply(whole, all);
      assert.deepEqual(state(keeper), state(whole));
      assert.deepEqual(keeper.checkpoint(), whole.checkpoint());
    }),
    { numRuns: 500 },
  );
  t.pass('held');
  t.end();
});

const metric = (method: string): object => ({ type: 'auth_request', value: 1, dimensions: { method } });

t.test('a record that cannot be decoded is unacceptable; what came before it stays counted, once', (t) => {
  const journal = journalOf([
    { service: 'auth', metrics: [metric('a')] },
    { service: 'auth', metrics: [metric('b')] },
    { service: 'auth', metrics: [metric('c')] },
  ]);
  journal.records[1]!.payload.set([0xff], 0);
  const keeper = open();
  t.throws(() => apply(keeper, journal.after(undefined)!), Unacceptable);
  t.strictSame(keeper.checkpoint(), { journalId: 'journal-1', sequence: 1, count: 1 });
  // The delivery narrows it down, sets it aside and goes on behind it.
  t.throws(() => apply(keeper, journal.after(keeper.checkpoint())!), Unacceptable);
  apply(keeper, journal.after({ journalId: 'journal-1', sequence: 2, count: 2 })!);
  t.strictSame(keeper.checkpoint(), journal.end());
  t.equal(keeper.registry.statistics().series, 2);
  t.end();
});

t.test('another journal’s records count although its numbers begin again', (t) => {
  const keeper = open();
  apply(keeper, journalOf([{ service: 'auth', metrics: [metric('a')] }]).after(undefined)!);
  const other = journalOf([{ service: 'auth', metrics: [metric('a')] }], 'journal-2');
  apply(keeper, other.after(undefined)!);
  t.strictSame(keeper.checkpoint(), { journalId: 'journal-2', sequence: 1, count: 1 });
  const sets = [...keeper.registry.inOrderOfReceipt()];
  t.match(sets, [{ attributes: { service: 'auth', method: 'a' }, value: 2 }]);
  t.end();
});

t.test('the instance id goes with the totals', (t) => {
  const keeper = open();
  t.match(keeper.instanceId, /^[0-9a-f-]{36}$/);
  t.equal(open(keeper.encode()).instanceId, keeper.instanceId);
  t.not(open().instanceId, keeper.instanceId);
  t.end();
});

t.test('a snapshot of another version is refused', (t) => {
  const later = new TextEncoder().encode(JSON.stringify({ version: 2 }));
  t.throws(() => openKeeper(settings, later), /version 2; this gateway reads version 1/);
  t.end();
});
