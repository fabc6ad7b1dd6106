/** Latency at half of what a server takes in a burst. */
import { pace } from './load.ts';
import type { PacedResult } from './paced-client.ts';
import { measureSaturated, type Server } from './saturated-server.ts';
import { compared, type Figure, median, type Settings } from './scenario.ts';
import type { GatewayUnderTest } from './servers.ts';

export type GatewayServer = Server & Pick<GatewayUnderTest, 'gateway'>;

/**
 * Each at half of what it took a moment before, so that a busy neighbour does not make it saturated, and with empty queues.
 * Beside it the bare server at the same rate: what the client and the machine make of an answer that costs nothing.
 */
export async function unsaturated(
  bare: Server,
  idle: GatewayServer,
  full: GatewayServer,
  settings: Settings,
): Promise<Figure[]> {
  const load = { metrics: 100, connections: 64, seconds: settings.small ? 1 : 6 };
  const measured: { idle: PacedResult; full: PacedResult; bare: PacedResult }[] = [];
  for (let round = 0; round < settings.rounds; round += 1) {
    const halfOf = async (server: GatewayServer): Promise<number> => {
      const { perSecond } = await measureSaturated(server, { ...load, seconds: 1 });
      await server.gateway.flush();
      return perSecond / 2;
    };
    const idleResult = await pace(idle, { ...load, perSecond: await halfOf(idle) });
    const perSecond = await halfOf(full);
    measured.push({
      idle: idleResult,
      full: await pace(full, { ...load, perSecond }),
      bare: await pace(bare, { ...load, perSecond }),
    });
  }
  const name = 'half of what it takes in a burst, 100 a request, 64 connections';
  const against = 'bare node:http at that rate';
  const figure = (which: 'p50' | 'p99' | 'p999'): Figure => ({
    ...compared(
      { what: `${name}: ${which.replace('999', '99.9')}, all sinks`, unit: 'ms', against },
      measured.map((one) => ({ value: one.full[which], baseline: one.bare[which] })),
    ),
  });
  return [
    figure('p50'),
    figure('p99'),
    figure('p999'),
    { what: `${name}: p99, deliveries idle`, value: median(measured.map((one) => one.idle.p99)), unit: 'ms' },
  ];
}
