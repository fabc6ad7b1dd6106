/** Many distinct series, offered to a gateway by HTTP. */
import { waitFor } from '../support/wait-for.ts';
import type { GatewayUnderTest } from './servers.ts';

const PER_BODY = 500;

/** Every metric a series of its own: as the worst emitter would. */
export async function offerSeries({ gateway }: GatewayUnderTest, series: number): Promise<void> {
  const perLabel = Math.ceil(Math.sqrt(series));
  for (let from = 0; from < series; from += PER_BODY) {
    const metrics = Array.from({ length: Math.min(PER_BODY, series - from) }, (_, at) => ({
      type: 'tool_execution',
      value: 1,
      duration_ms: 5,
      dimensions: {
        tool_name: `tool-${(from + at) % perLabel}`,
        server_name: `server-${Math.floor((from + at) / perLabel)}`,
        success: true,
      },
    }));
    await waitFor('a 200', async () => (await gateway.post({ service: 'test', metrics })).ok);
  }
  await gateway.flush();
}
