/** How long an OTLP export of many histogram series makes senders wait at a gateway's door. */
import { type Figure, median, type Settings } from './scenario.ts';
import { startServer } from './servers.ts';
import { stallAtTheDoor } from './stall-at-the-door.ts';

/** Between exports. No multiple or part of the seconds in which SQLite writes, whose batches would always meet the same half. */
const INTERVAL_MS = 4300;

/**
 * Exports come by themselves. Once one is known to be over, half an interval is the time without; the other half, to where the
 * next is known to be over, is the time with it.
 */
export async function exportAtTheDoor(settings: Settings, series: number): Promise<Figure[]> {
  const server = await startServer(settings, { env: { OTEL_METRIC_EXPORT_INTERVAL: String(INTERVAL_MS) } });
  const sizes: number[] = [];
  try {
    const figures = await stallAtTheDoor(settings, server, series, {
      name: 'an export',
      once: async () => {
        const { bytes, toldAfterMs } = await server.nextExport();
        if (toldAfterMs > INTERVAL_MS / 2)
          throw new Error(
            `an export was over after ${toldAfterMs.toFixed(0)} ms: too long for one every ${INTERVAL_MS} ms`,
          );
        sizes.push(bytes);
        return INTERVAL_MS / 2;
      },
      settleMs: 0,
    });
    const name = `${series.toLocaleString('en-US')} series, at the gateway's door`;
    return [...figures, { what: `${name}: size of an export`, value: median(sizes) / 1e6, unit: 'MB' }];
  } finally {
    await server.stop();
  }
}
