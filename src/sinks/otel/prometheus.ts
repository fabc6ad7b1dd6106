/** `prometheus()`: serves the totals and the gateway's own metrics to scrapers, on a port of its own. */
import { checkOptions } from '../../core/options.ts';
import type { TotalsReader } from '../../core/sink.ts';
import { openTotals } from './open-totals.ts';
import type { PrometheusSettings } from './reader-settings.ts';

export interface PrometheusOptions {
  /** Default `prometheus`. */
  readonly name?: string;
  /** Default true. */
  readonly enabled?: boolean;
  /** Default 127.0.0.1. */
  readonly host?: string;
  /** Default 9465; 0 takes a free one. */
  readonly port?: number;
  /** What a scraper sends as `Authorization: Bearer …`. Default: everyone who reaches the port may read. */
  readonly bearerToken?: string;
  /** PEM files; with them the port speaks HTTPS only. */
  readonly tls?: { readonly certFile: string; readonly keyFile: string };
  /** A scrape is answered within so long, or with 503. Milliseconds; default 10,000. */
  readonly timeoutMs?: number;
}

/**
 * `GET /metrics` in Prometheus' text format 0.0.4, or OpenMetrics 1.0 where the scraper asks for it. Answers 503 until
 * the totals are restored and the journal is replayed, so that no counter is ever seen going back.
 * @throws TypeError naming the option at fault
 */
export function prometheus(options: PrometheusOptions = {}): TotalsReader {
  checkOptions('prometheus', options, {
    name: true,
    enabled: true,
    host: true,
    port: true,
    bearerToken: true,
    tls: true,
    timeoutMs: true,
  });
  const { name = 'prometheus', enabled = true, port = 9465, timeoutMs = 10_000, bearerToken } = options;
  if (!Number.isInteger(port) || port < 0 || port > 65_535) {
    throw new TypeError(`${name}.port: expected a port from 0 to 65535; got ${port}`);
  }
  if (!Number.isFinite(timeoutMs) || timeoutMs <= 0) {
    throw new TypeError(`${name}.timeoutMs: expected milliseconds above 0; got ${timeoutMs}`);
  }
  if (bearerToken !== undefined && bearerToken.length < 8) {
    throw new TypeError(`${name}.bearerToken: expected at least 8 characters; got ${bearerToken.length}`);
  }
  const settings: PrometheusSettings = {
    kind: 'prometheus',
    host: options.host ?? '127.0.0.1',
    port,
    bearerToken,
    tls: options.tls,
    timeoutMs,
  };
  return { kind: 'totals-reader', name, enabled, settings, openTotals };
}
