/** `otlp()`: pushes the totals to a collector or vendor, as protobuf over HTTP. */
import { checkOptions } from '../../core/options.ts';
import type { TotalsReader } from '../../core/sink.ts';
import { openTotals } from './open-totals.ts';
import type { OtlpSettings } from './reader-settings.ts';

export interface OtlpOptions {
  /** Tells several pushes apart. Default `otlp`. */
  readonly name?: string;
  /** Default: whether an endpoint is known. */
  readonly enabled?: boolean;
  /**
   * Address of the collector, `http://collector:4318`; `/v1/metrics` is added unless it ends so. Default:
   * `OTEL_EXPORTER_OTLP_METRICS_ENDPOINT` (as it is) or `OTEL_EXPORTER_OTLP_ENDPOINT`. Without any, nothing is pushed.
   */
  readonly endpoint?: string | undefined;
  /** Request headers, such as a vendor's key. Default and addition: `OTEL_EXPORTER_OTLP_[METRICS_]HEADERS`. */
  readonly headers?: Readonly<Record<string, string>>;
  /** Between exports. Default: `OTEL_METRIC_EXPORT_INTERVAL`, else 60,000. */
  readonly intervalMs?: number;
  /** Per export request. Default: `OTEL_EXPORTER_OTLP_[METRICS_]TIMEOUT`, else 10,000. */
  readonly timeoutMs?: number;
  /** Default: `OTEL_EXPORTER_OTLP_[METRICS_]COMPRESSION`, else none. */
  readonly compression?: 'gzip' | 'none';
  /** Data points in one request; more are sent in several. Default 5,000, about 3 MiB of histograms. */
  readonly maxPointsPerRequest?: number;
  /** Whether the gateway's own metrics are pushed too. Default true. */
  readonly selfMetrics?: boolean;
}

const PATH = '/v1/metrics';

/**
 * Pushes cumulative totals at an interval of its own. An export that fails is counted and told once; the next one
 * carries everything again, so nothing is lost by an outage. Certificates come from the standard
 * `OTEL_EXPORTER_OTLP_[METRICS_]CERTIFICATE`, `_CLIENT_CERTIFICATE` and `_CLIENT_KEY`.
 * https://opentelemetry.io/docs/specs/otel/protocol/exporter/
 * @throws TypeError naming the option at fault
 */
export function otlp(options: OtlpOptions = {}): TotalsReader {
  checkOptions('otlp', options, {
    name: true,
    enabled: true,
    endpoint: true,
    headers: true,
    intervalMs: true,
    timeoutMs: true,
    compression: true,
    maxPointsPerRequest: true,
    selfMetrics: true,
  });
  const { name = 'otlp', endpoint } = options;
  const standard =
    fromEnvironment('OTEL_EXPORTER_OTLP_METRICS_ENDPOINT') ?? fromEnvironment('OTEL_EXPORTER_OTLP_ENDPOINT');
  const known = endpoint !== undefined || standard !== undefined;
  if (options.enabled === true && !known) {
    throw new TypeError(`${name}: enabled without an endpoint; give { endpoint } or set OTEL_EXPORTER_OTLP_ENDPOINT`);
  }
  const compression: unknown = options.compression ?? standardCompression();
  if (compression !== undefined && compression !== 'gzip' && compression !== 'none') {
    throw new TypeError(`${name}.compression: expected "gzip" or "none"; got ${JSON.stringify(compression)}`);
  }
  const settings: OtlpSettings = {
    kind: 'otlp',
    url: endpoint === undefined ? undefined : metricsUrl(name, endpoint),
    headers: { ...options.headers },
    intervalMs: milliseconds(name, 'intervalMs', options.intervalMs, 'OTEL_METRIC_EXPORT_INTERVAL') ?? 60_000,
    timeoutMs:
      milliseconds(name, 'timeoutMs', options.timeoutMs, 'OTEL_EXPORTER_OTLP_METRICS_TIMEOUT') ??
      milliseconds(name, 'timeoutMs', undefined, 'OTEL_EXPORTER_OTLP_TIMEOUT') ??
      10_000,
    compression: options.compression,
    maxPointsPerRequest: options.maxPointsPerRequest ?? 5_000,
    selfMetrics: options.selfMetrics ?? true,
  };
  if (!Number.isSafeInteger(settings.maxPointsPerRequest) || settings.maxPointsPerRequest < 1) {
    throw new TypeError(
      `${name}.maxPointsPerRequest: expected a whole number from 1; got ${settings.maxPointsPerRequest}`,
    );
  }
  return { kind: 'totals-reader', name, enabled: (options.enabled ?? true) && known, settings, openTotals };
}

const standardCompression = (): string | undefined =>
  fromEnvironment('OTEL_EXPORTER_OTLP_METRICS_COMPRESSION') ?? fromEnvironment('OTEL_EXPORTER_OTLP_COMPRESSION');

/** An empty variable means an unset one, as the specification has it. */
function fromEnvironment(variable: string): string | undefined {
  const value = process.env[variable]?.trim();
  return value === undefined || value === '' ? undefined : value;
}

function metricsUrl(name: string, endpoint: string): string {
  if (!/^https?:\/\//i.test(endpoint) || !URL.canParse(endpoint)) {
    throw new TypeError(`${name}.endpoint: expected an http:// or https:// address, such as http://localhost:4318`);
  }
  const url = new URL(endpoint);
  const path = url.pathname.replace(/\/+$/, '');
  url.pathname = path.endsWith(PATH) ? path : `${path}${PATH}`;
  return url.href;
}

function milliseconds(name: string, option: string, value: number | undefined, variable: string): number | undefined {
  const text = value === undefined ? fromEnvironment(variable) : undefined;
  const found = value ?? (text === undefined ? undefined : Number(text));
  if (found === undefined || (Number.isFinite(found) && found > 0)) return found;
  throw new TypeError(
    `${text === undefined ? `${name}.${option}` : variable}: expected milliseconds above 0; got ${text ?? found}`,
  );
}
