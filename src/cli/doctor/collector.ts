/** Does the collector answer? Anything at all to an empty export will do; only silence is a fault. */
import type { OtlpSettings } from '../../sinks/otel/reader-settings.ts';
import { type Check, fault, type Finding, messageOf, ok, readersOf, warning } from './finding.ts';

const TIMEOUT_MS = 5000;

export const checkCollector: Check = ({ pipeline }) =>
  Promise.all(
    readersOf<OtlpSettings>(pipeline, 'otlp').map(({ name, settings }) =>
      ask(
        name,
        settings.url ??
          process.env['OTEL_EXPORTER_OTLP_METRICS_ENDPOINT'] ??
          `${process.env['OTEL_EXPORTER_OTLP_ENDPOINT'] ?? ''}/v1/metrics`,
        settings.headers ?? {},
      ),
    ),
  );

async function ask(name: string, address: string, headers: Readonly<Record<string, string>>): Promise<Finding> {
  const shown = URL.canParse(address) ? new URL(address).origin : 'the endpoint';
  let status: number;
  try {
    ({ status } = await fetch(address, {
      method: 'POST',
      headers: { ...headers, 'content-type': 'application/x-protobuf' },
      body: new Uint8Array(),
      signal: AbortSignal.timeout(TIMEOUT_MS),
    }));
  } catch (error) {
    return fault(
      name,
      `${shown} cannot be reached: ${messageOf((error as Error).cause ?? error)}`,
      'start the collector, or correct OTEL_EXPORTER_OTLP_ENDPOINT; until then totals wait and nothing is lost',
    );
  }
  if (status === 401 || status === 403)
    return warning(name, `${shown} answers ${status}`, 'give it the headers that it wants: OTEL_EXPORTER_OTLP_HEADERS');
  if (status < 500 && status !== 404) return ok(name, `${shown} answers`);
  return warning(
    name,
    `${shown} answers ${status}`,
    'check that this is an OTLP/HTTP receiver (port 4318, not 4317, which is gRPC)',
  );
}
