/** The client's promises about its overhead, with a short run; the figures are in the comments. */
import t from 'tap';
import { batchCost, mcpCallCost, recordingCost, requestCosts } from './client-overhead.ts';

t.test('recording costs less than 5 µs', async (t) => {
  const { recordMicroseconds, ratio } = await recordingCost();
  t.comment(`${recordMicroseconds.toFixed(2)} µs, ${ratio.toFixed(1)} × JSON.stringify of the same metric`);
  t.ok(recordMicroseconds < 5);
});

t.test('sending a batch of 500 keeps the thread for less than the 5 ms that users are promised', async (t) => {
  const microseconds = await batchCost();
  t.comment(`${microseconds.toFixed(0)} µs`);
  t.ok(microseconds < 5000);
});

t.test('a call of an instrumented MCP server gains less than 50 µs', async (t) => {
  const { addedMicroseconds, plainMicroseconds, ratio } = await mcpCallCost();
  t.comment(`+${addedMicroseconds.toFixed(1)} µs (× ${ratio.toFixed(2)} of ${plainMicroseconds.toFixed(0)} µs)`);
  t.ok(addedMicroseconds < 50);
});

t.test('a request through the middleware gains less than 50 µs at p50 and 0.5 ms at p99', async (t) => {
  for (const { gateway, plain, added, ratio } of await requestCosts(20, 400)) {
    t.comment(
      `gateway ${gateway}: +${added.p50.toFixed(1)} µs at p50 (× ${ratio.toFixed(2)}), +${added.p99.toFixed(1)} µs at p99; plain ${plain.p50.toFixed(0)} and ${plain.p99.toFixed(0)} µs`,
    );
    t.ok(added.p50 < 50, `p50 with the gateway ${gateway}`);
    t.ok(added.p99 < 500, `p99 with the gateway ${gateway}`);
  }
});
