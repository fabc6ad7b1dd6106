/**
 * Where an OTLP push goes and what it carries, out of its settings and the standard variables: what the exporter makes of
 * them by itself, for a check that must ask the same collector in the same way.
 */
import { readFileSync } from 'node:fs';
import { getStringFromEnv, parseKeyPairsIntoRecord } from '@opentelemetry/core';
import type { OtlpSettings } from './reader-settings.ts';

export interface CollectorAddress {
  /** With user and password where the address has them: not to be shown. */
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
  /** PEM: whom to trust, and who we are. */
  readonly tls: { readonly ca?: Buffer; readonly cert?: Buffer; readonly key?: Buffer };
}

/** @throws Error where a file that a variable names cannot be read */
export function collectorAddress({ url, headers = {} }: Partial<OtlpSettings>): CollectorAddress {
  const file = (name: string): Buffer | undefined => {
    const path = standard(name);
    return path === undefined ? undefined : readFileSync(path);
  };
  const [ca, cert, key] = [file('CERTIFICATE'), file('CLIENT_CERTIFICATE'), file('CLIENT_KEY')];
  return {
    url:
      url ??
      getStringFromEnv('OTEL_EXPORTER_OTLP_METRICS_ENDPOINT') ??
      `${(getStringFromEnv('OTEL_EXPORTER_OTLP_ENDPOINT') ?? '').replace(/\/$/, '')}/v1/metrics`,
    headers: {
      ...parseKeyPairsIntoRecord(getStringFromEnv('OTEL_EXPORTER_OTLP_HEADERS')),
      ...parseKeyPairsIntoRecord(getStringFromEnv('OTEL_EXPORTER_OTLP_METRICS_HEADERS')),
      ...headers,
    },
    tls: {
      ...(ca === undefined ? undefined : { ca }),
      ...(cert === undefined ? undefined : { cert }),
      ...(key === undefined ? undefined : { key }),
    },
  };
}

/** The form for metrics alone wins. */
const standard = (name: string): string | undefined =>
  getStringFromEnv(`OTEL_EXPORTER_OTLP_METRICS_${name}`) ?? getStringFromEnv(`OTEL_EXPORTER_OTLP_${name}`);
