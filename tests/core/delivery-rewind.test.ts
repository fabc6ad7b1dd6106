import t from 'tap';
import { Rewind, type Sink, Unacceptable } from '../../src/core/sink.ts';
import { advanceUntil, settle } from '../support/virtual-clock.ts';
import { entryOf, harness, valuesOf } from './harness.ts';

t.test('a sink that lost its state in peace gets it again, without a new metric having to come', async (t) => {
  const taken: number[] = [];
  const sink: Sink = {
    name: 'forgetful',
    whenFull: 'refuse',
    batching: { maxMetrics: 2, maxDelayMs: 10 },
    write: (batch) => {
      taken.push(...valuesOf(batch));
      return Promise.resolve();
    },
  };
  const h = await harness(sink);
  t.teardown(h.remove);
  h.delivery.start();
  await h.records.append(entryOf(1, 2));
  await h.records.append(entryOf(3, 4));
  await advanceUntil(h.clock, () => h.delivery.queued() === 0, 10);
  const { journalId } = h.delivery.position();
  h.delivery.rewind(new Rewind('lost', { journalId, sequence: 1, count: 2 }));
  await settle();
  await advanceUntil(h.clock, () => taken.length === 6, 10);
  t.same(taken, [1, 2, 3, 4, 3, 4]);
  const { delivered, recovered } = h.delivery.counts();
  t.equal(delivered - recovered, 4, 'the books balance: what came again is recovered');
  await h.delivery.stop();
});

t.test('what was set aside and is tried again comes as late', async (t) => {
  let refuse = true;
  const late: boolean[] = [];
  const sink: Sink = {
    name: 'picky',
    whenFull: 'refuse',
    batching: { maxMetrics: 1, maxDelayMs: 10 },
    write: (batch) => {
      if (refuse) throw new Unacceptable('no');
      late.push(batch.late === true);
      return Promise.resolve();
    },
  };
  const h = await harness(sink);
  t.teardown(h.remove);
  h.delivery.start();
  await h.records.append(entryOf(1));
  await advanceUntil(h.clock, () => h.setAside.size() === 1, 10);
  refuse = false;
  await h.records.append(entryOf(2));
  await advanceUntil(h.clock, () => h.delivery.queued() === 0, 10);
  t.match(await h.delivery.redrive(), { delivered: 1, remaining: 0 });
  t.same(late, [false, true]);
  await h.delivery.stop();
});
