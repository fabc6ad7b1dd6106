/** What the readers' factories hand to the totals: options with their defaults, as plain data. */

export interface PrometheusSettings {
  readonly kind: 'prometheus';
  readonly host: string;
  readonly port: number;
  readonly bearerToken: string | undefined;
  readonly tls: { readonly certFile: string; readonly keyFile: string } | undefined;
  readonly timeoutMs: number;
}

/** The options with no choice left open but what the SDK reads from the environment itself. Crosses threads. */
export interface OtlpSettings {
  readonly kind: 'otlp';
  readonly url: string | undefined;
  readonly headers: Readonly<Record<string, string>>;
  readonly intervalMs: number;
  readonly timeoutMs: number;
  readonly compression: 'gzip' | 'none' | undefined;
  readonly maxPointsPerRequest: number;
  readonly selfMetrics: boolean;
}

export const isPrometheusSettings = (settings: object): settings is PrometheusSettings =>
  (settings as Partial<PrometheusSettings>).kind === 'prometheus';

export const isOtlpSettings = (settings: object): settings is OtlpSettings =>
  (settings as Partial<OtlpSettings>).kind === 'otlp';
