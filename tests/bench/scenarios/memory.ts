/**
 * Resident memory: idle, after a sustained load, and with 100,000 distinct series offered; and what the rates of the sizing
 * in docs/performance.md take.
 */
import { figuresAtRates } from '../at-rate.ts';
import { pace, saturate } from '../load.ts';
import { residentMemory } from '../machine.ts';
import { readSamples, sumOf } from '../../support/books.ts';
import { offerSeries } from '../offer-series.ts';
import { median, type Scenario } from '../scenario.ts';
import { startServer } from '../servers.ts';

export const scenario: Scenario = async (settings) => {
  const { rounds, small, say } = settings;
  const measured: { idle: number; sustained: number; peak: number; series: number; shown: number }[] = [];
  const count = small ? 1 : rounds;
  for (let round = 0; round < count; round += 1) {
    say(`round ${round + 1}`);
    const server = await startServer(settings);
    const settle = small ? 500 : 5000;
    await new Promise((resolve) => setTimeout(resolve, settle));
    const idle = residentMemory(server.pid).now;
    const load = { metrics: 100, connections: 64 };
    const { ok, seconds } = await saturate(server, { ...load, seconds: small ? 1 : 3 });
    await server.gateway.flush().catch(() => {});
    await pace(server, { ...load, seconds: small ? 1 : 20, perSecond: (ok / seconds) * 0.3 });
    const { now: sustained, peak } = residentMemory(server.pid);
    await offerSeries(server, small ? 2000 : 100_000);
    const page = await server.gateway.scrape();
    const series = residentMemory(server.pid).now;
    measured.push({ idle, sustained, peak, series, shown: sumOf(readSamples(page), 'mcp_gateway_series') });
    await server.stop();
  }
  const of = (key: keyof (typeof measured)[number]): number => median(measured.map((one) => one[key]));
  return [
    { what: 'idle', value: of('idle'), unit: 'MiB', goal: { atMost: 150 } },
    { what: 'after a sustained load of recorded traffic', value: of('sustained'), unit: 'MiB', goal: { atMost: 350 } },
    { what: 'the most it ever was, a burst included', value: of('peak'), unit: 'MiB' },
    {
      what: `after ${small ? '2,000' : '100,000'} distinct series offered and a scrape`,
      value: of('series'),
      unit: 'MiB',
    },
    { what: 'series kept of them', value: of('shown'), unit: '' },
    ...(await figuresAtRates(settings, count)),
  ];
};
