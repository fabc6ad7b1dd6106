/** Which version of the gateway this is; apart from resource.ts, so that the HTTP thread does not load OpenTelemetry for it. */
import { readFileSync } from 'node:fs';

/** The version of this package, as its package.json two folders above `sinks` says, in src and dist alike. */
export function gatewayVersion(): string {
  const { version } = JSON.parse(readFileSync(new URL('../../../package.json', import.meta.url), 'utf8')) as {
    version: string;
  };
  return version;
}
