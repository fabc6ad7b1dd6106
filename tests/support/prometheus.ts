/** A real Prometheus (Debian's package) that scrapes what a test points it at. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { startChild, type Child } from './child.ts';
import { freePort } from './free-port.ts';
import { programPath } from './tools.ts';
import { waitFor } from './wait-for.ts';

export const PROMETHEUS = programPath('prometheus');
export const PROMTOOL = programPath('promtool');

export interface RunningPrometheus extends Child {
  readonly url: string;
  /** Samples of an instant vector: labels and value. */
  readonly query: (promql: string) => Promise<readonly { labels: Readonly<Record<string, string>>; value: number }[]>;
}

interface QueryAnswer {
  readonly status: string;
  readonly error?: string;
  readonly data: { readonly result: readonly { metric: Record<string, string>; value: [number, string] }[] };
}

/** @param targets `host:port` of pages at `/metrics` */
export async function startPrometheus(
  folder: string,
  targets: readonly string[],
  args: readonly string[] = [],
): Promise<RunningPrometheus> {
  if (PROMETHEUS === undefined) throw new Error('Prometheus is not installed');
  const data = join(folder, 'prometheus');
  mkdirSync(data, { recursive: true });
  const config = join(data, 'prometheus.yml');
  writeFileSync(
    config,
    JSON.stringify({
      global: { scrape_interval: '500ms', scrape_timeout: '500ms' },
      scrape_configs: [{ job_name: 'gateway', static_configs: [{ targets }] }],
    }),
  );
  const port = await freePort();
  const child = await startChild(PROMETHEUS, [
    `--config.file=${config}`,
    `--storage.tsdb.path=${join(data, 'tsdb')}`,
    `--web.listen-address=127.0.0.1:${port}`,
    ...args,
  ]);
  const url = `http://127.0.0.1:${port}`;
  await waitFor('Prometheus to be ready', async () => (await fetch(`${url}/-/ready`)).ok, { deadlineMs: 60_000 });
  return {
    ...child,
    url,
    query: async (promql) => {
      const response = await fetch(`${url}/api/v1/query?${new URLSearchParams({ query: promql }).toString()}`);
      const answer = (await response.json()) as QueryAnswer;
      if (answer.status !== 'success') throw new Error(`${promql}: ${answer.error ?? response.status}`);
      return answer.data.result.map(({ metric, value }) => ({ labels: metric, value: Number(value[1]) }));
    },
  };
}
