/** A real OpenTelemetry Collector, built from otel-collector/builder.yaml, with the configurations of that folder. */
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { startChild, type Child } from './child.ts';
import { freePort } from './free-port.ts';
import { ROOT } from './root.ts';
import { collectorPath } from './tools.ts';
import { waitFor } from './wait-for.ts';

export const COLLECTOR = collectorPath();

/** The two files that run one of the folder's configurations. */
export const collectorArguments = (name: string): string[] =>
  ['base', name].flatMap((file) => ['--config', join(ROOT, 'otel-collector', `${file}.yaml`)]);

export interface RunningCollector extends Child {
  /** Takes OTLP over HTTP; without `/v1/metrics`. */
  readonly url: string;
  /** Where the Prometheus exporter shows what arrived, in configurations that have one. */
  readonly page: () => Promise<string>;
}

export async function startCollector(
  folder: string,
  name: string,
  env: Readonly<Record<string, string>> = {},
): Promise<RunningCollector> {
  if (COLLECTOR === undefined) throw new Error('the collector is not built');
  const [http, grpc, health, prometheus] = await Promise.all([freePort(), freePort(), freePort(), freePort()]);
  const queue = join(folder, `queue-${http}`);
  mkdirSync(queue, { recursive: true });
  const child = await startChild(COLLECTOR, collectorArguments(name), {
    env: {
      OTLP_HTTP_ENDPOINT: `127.0.0.1:${http}`,
      OTLP_GRPC_ENDPOINT: `127.0.0.1:${grpc}`,
      HEALTH_ENDPOINT: `127.0.0.1:${health}`,
      PROMETHEUS_ENDPOINT: `127.0.0.1:${prometheus}`,
      QUEUE_DIRECTORY: queue,
      ...env,
    },
  });
  await waitFor(`the collector with ${name}.yaml to be up`, async () => {
    if (child.exit() !== undefined) throw new Error(`it ended: ${child.output()}`);
    return (await fetch(`http://127.0.0.1:${health}`)).ok;
  });
  return {
    ...child,
    url: `http://127.0.0.1:${http}`,
    page: async () => (await fetch(`http://127.0.0.1:${prometheus}/metrics`)).text(),
  };
}
