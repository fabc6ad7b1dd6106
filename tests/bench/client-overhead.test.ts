/**
 * The client's overhead, by a short run. The figures are in the comments, beside their goals; what fails is a ratio within the
 * run, with room for a busy machine: it tells a client that does something else from one that is measured at a bad moment.
 */
import t from 'tap';
import { batchCost, mcpCallCost, recordingCost, requestCosts } from './client-overhead.ts';

t.test('recording costs a few times a JSON.stringify of the metric', async (t) => {
  const { recordMicroseconds, ratio } = await recordingCost();
  t.comment(`${recordMicroseconds.toFixed(2)} µs (goal: 5), ${ratio.toFixed(1)} × JSON.stringify of the same metric`);
  t.ok(ratio < 12);
});

t.test('sealing a batch of 1,000 takes milliseconds', async (t) => {
  const microseconds = await batchCost();
  t.comment(`${microseconds.toFixed(0)} µs (goal: 5,000)`);
  t.ok(microseconds < 50_000);
});

t.test('a call of an instrumented MCP server costs less than three plain ones', async (t) => {
  const { addedMicroseconds, plainMicroseconds, ratio } = await mcpCallCost();
  t.comment(
    `+${addedMicroseconds.toFixed(1)} µs (goal: 50; × ${ratio.toFixed(2)} of ${plainMicroseconds.toFixed(0)} µs)`,
  );
  t.ok(ratio < 3);
});

t.test(
  'a request through the middleware costs its caller less than two plain ones, and the thread less than three, whatever the gateway does',
  async (t) => {
    for (const { framework, gateway, plain, added, ratio, cpu } of await requestCosts(10, 500)) {
      t.comment(
        `${framework} with the gateway ${gateway}: +${added.p50.toFixed(1)} µs at p50 (goal: 50; × ${ratio.toFixed(2)}), +${added.p99.toFixed(1)} µs at p99 (goal: 500); plain ${plain.p50.toFixed(0)} and ${plain.p99.toFixed(0)} µs; CPU ${cpu.measured.toFixed(0)} over ${cpu.plain.toFixed(0)} µs`,
      );
      t.ok(ratio < 2, `${framework} with the gateway ${gateway}: for the caller`);
      t.ok(cpu.measured < cpu.plain * 3, `${framework} with the gateway ${gateway}: CPU, after the answer too`);
    }
  },
);
