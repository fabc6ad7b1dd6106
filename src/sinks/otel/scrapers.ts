/** The listeners of all `prometheus()` readers, and the one text that they share: self-metrics, then totals. */
import type { AddressInfo } from 'node:net';
import type { Log, MetricFamily } from '../../core/ports.ts';
import { type ExpositionFormat, OPENMETRICS_END, writeExposition } from './exposition.ts';
import type { PrometheusSettings } from './reader-settings.ts';
import { createPrometheusServer, type PrometheusServer } from './prometheus-server.ts';
import { shareScrapes } from './shared-scrape.ts';

export interface ScrapersOptions {
  readonly readers: readonly { readonly name: string; readonly settings: PrometheusSettings }[];
  readonly totals: (format: ExpositionFormat) => Promise<readonly Uint8Array[]>;
  readonly families: () => readonly MetricFamily[];
  readonly notReady: () => string | undefined;
  readonly onScrape: (durationMs: number, status: number) => void;
  readonly log: Log;
}

export interface Scrapers {
  readonly addresses: ReadonlyMap<string, AddressInfo>;
  readonly close: () => Promise<void>;
}

/** @throws Error naming the reader and its address where one cannot be listened on; none is left open then */
export async function openScrapers(options: ScrapersOptions): Promise<Scrapers> {
  const encoder = new TextEncoder();
  const collect = shareScrapes(async (format) => {
    const totals = await options.totals(format);
    // Read at one instant, without a pause in between, so that the books balance.
    const own = Array.from(writeExposition(options.families(), format), (piece) => encoder.encode(piece));
    return format === 'openmetrics' ? [...own, ...totals, encoder.encode(OPENMETRICS_END)] : [...own, ...totals];
  });
  const servers: PrometheusServer[] = [];
  const addresses = new Map<string, AddressInfo>();
  const close = async (): Promise<void> => {
    await Promise.all(servers.map((server) => server.close()));
  };
  for (const { name, settings } of options.readers) {
    const server = createPrometheusServer({ ...options, settings, collect });
    servers.push(server);
    try {
      const address = await server.listen();
      addresses.set(name, address);
      options.log.info({ reader: name, host: address.address, port: address.port }, 'metrics are served at /metrics');
    } catch (error) {
      await close();
      throw new Error(`${name}: cannot serve ${settings.host}:${settings.port}: ${(error as Error).message}`, {
        cause: error,
      });
    }
  }
  return { addresses, close };
}
