/** Any order of requests, answers, cancellations and closings, in both directions: every request is recorded once. */
import fc from 'fast-check';
import t from 'tap';
import { instrumentMcpServer } from '../../../src/client/mcp/index.ts';
import { captureMetrics } from '../captured-metrics.ts';

type Step = readonly [
  what: 'request' | 'answer' | 'error' | 'cancel' | 'close' | 'notify',
  received: boolean,
  id: number,
];

const step: fc.Arbitrary<Step> = fc.tuple(
  fc.constantFrom('request', 'request', 'answer', 'answer', 'error', 'cancel', 'close', 'notify'),
  fc.boolean(),
  fc.nat(3),
);

t.test('every request is recorded once, with the way it ended', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 60 }), async (steps) => {
      const { client, metrics } = captureMetrics();
      const transport = {
        onmessage: undefined as ((message: unknown) => void) | undefined,
        onclose: undefined as (() => void) | undefined,
        send: async (message: unknown) => void message,
      };
      await instrumentMcpServer({ connect: async (to: unknown) => to }, client, { serverName: 's' }).connect(transport);

      // The model: ids that wait for their answer, each with how many requests, by direction.
      const open = { true: [0, 0, 0, 0], false: [0, 0, 0, 0] };
      const expected: string[] = [];
      const end = (received: boolean, id: number, how: string): void => {
        if (open[`${received}`][id]! > 0) {
          open[`${received}`][id]! -= 1;
          expected.push(`${received ? 'client' : 'server'} ${how}`);
        }
      };
      for (const [what, received, id] of [...steps, ['close', true, 0] as const]) {
        const pass = (message: object, incoming: boolean): void => {
          if (incoming) transport.onmessage?.(message);
          else transport.send(message).catch(() => {});
        };
        if (what === 'request') {
          open[`${received}`][id]! += 1;
          pass({ jsonrpc: '2.0', id, method: 'ping' }, received);
        } else if (what === 'answer') {
          end(received, id, 'undefined');
          pass({ jsonrpc: '2.0', id, result: {} }, !received);
        } else if (what === 'error') {
          end(received, id, '-32603');
          pass({ jsonrpc: '2.0', id, error: { code: -32_603, message: '' } }, !received);
        } else if (what === 'cancel') {
          end(received, id, 'cancelled');
          pass({ jsonrpc: '2.0', method: 'notifications/cancelled', params: { requestId: id } }, received);
        } else if (what === 'notify') pass({ jsonrpc: '2.0', method: 'notifications/initialized' }, received);
        else {
          for (const direction of [true, false]) {
            for (let other = 0; other < 4; other += 1) {
              while (open[`${direction}`][other]! > 0) end(direction, other, 'connection_closed');
            }
          }
          transport.onclose?.();
        }
      }
      const recorded = (await metrics('tool_execution')).map(
        ({ metadata }) =>
          `${metadata['initiator'] === 'server' ? 'server' : 'client'} ${metadata['error_code'] as string | undefined}`,
      );
      await client.shutdown();
      return recorded.sort().join() === expected.sort().join();
    }),
    { numRuns: 300 },
  );
});
