/** Does the collector answer? Anything at all to an empty export will do; only silence is a fault. */
import { request as httpRequest } from 'node:http';
import { request as httpsRequest } from 'node:https';
import { type CollectorAddress, collectorAddress } from '../../sinks/otel/collector-address.ts';
import type { OtlpSettings } from '../../sinks/otel/reader-settings.ts';
import { type Check, fault, type Finding, messageOf, ok, readersOf, warning } from './finding.ts';

const TIMEOUT_MS = 5000;

export const checkCollector: Check = ({ pipeline }) =>
  Promise.all(readersOf<OtlpSettings>(pipeline, 'otlp').map(({ name, settings }) => ask(name, settings)));

async function ask(name: string, settings: Partial<OtlpSettings>): Promise<Finding> {
  let shown = 'the endpoint';
  let status: number;
  try {
    const address = collectorAddress(settings);
    // Without the user and password that may stand in it.
    if (URL.canParse(address.url)) shown = new URL(address.url).origin;
    status = await post(address);
  } catch (error) {
    return fault(
      name,
      `${shown} cannot be reached: ${messageOf(error)}`,
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

/** By the same client of Node as the exporter uses: fetch() refuses an address with a user in it, and names it in its message. */
function post({ url, headers, tls }: CollectorAddress): Promise<number> {
  return new Promise((resolve, reject) => {
    const to = new URL(url);
    const request = to.protocol === 'https:' ? httpsRequest : httpRequest;
    const outgoing = request(
      to,
      {
        ...tls,
        method: 'POST',
        headers: { ...headers, 'content-type': 'application/x-protobuf' },
        signal: AbortSignal.timeout(TIMEOUT_MS),
      },
      (incoming) => {
        incoming.resume().on('error', () => undefined);
        resolve(incoming.statusCode ?? 0);
      },
    );
    // Of an address with several of its own, the error has a message for each and none for itself.
    outgoing.on('error', (error: NodeJS.ErrnoException) =>
      reject(error.message === '' ? new Error(error.code) : error),
    );
    outgoing.end();
  });
}
