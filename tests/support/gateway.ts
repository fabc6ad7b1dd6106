/** A gateway as its users run it: a process of its own, on free ports, with a data directory of its own. */
import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { startChild, type Child } from './child.ts';
import { freePort } from './free-port.ts';
import { UNDER_TEST } from './gateway-command.ts';
import { ROOT } from './root.ts';
import { waitFor } from './wait-for.ts';

export interface GatewayOptions {
  /** An empty folder, or that of a gateway before it. */
  readonly dataDirectory: string;
  /** Added to, and winning over, the environment that the tests need. */
  readonly env?: Readonly<Record<string, string | undefined>>;
  /** More arguments of `mcp-metrics start`, such as `--config`. */
  readonly args?: readonly string[];
  /** Instead of what gateway-command.ts has for tests. */
  readonly command?: readonly [command: string, ...args: string[]];
  readonly cwd?: string;
  /** The key of the service `test`. Default: a new one. */
  readonly key?: string;
  /** Default: free ones. A gateway that is started again keeps its ports this way. */
  readonly port?: number;
  readonly scrapePort?: number;
}

export interface RunningGateway extends Child {
  /** Where `POST /metrics` listens, without a slash at the end. */
  readonly url: string;
  /** The Prometheus page. */
  readonly scrapeUrl: string;
  readonly key: string;
  readonly dataDirectory: string;
  readonly databasePath: string;
  /** Sends one body of `POST /metrics` and returns the answer. */
  readonly post: (body: string | object, headers?: Readonly<Record<string, string>>) => Promise<Response>;
  /** The Prometheus page now. */
  readonly scrape: () => Promise<string>;
  /** Returns once everything that was accepted is in SQLite. */
  readonly flush: () => Promise<void>;
}

/** Starts a gateway and returns at once; it may not be ready, or never be. */
export async function spawnGateway(options: GatewayOptions): Promise<RunningGateway> {
  const [port, scrapePort] = [options.port ?? (await freePort()), options.scrapePort ?? (await freePort())];
  const key = options.key ?? `mcp_metrics_${randomBytes(32).toString('base64url')}`;
  const databasePath = join(options.dataDirectory, 'metrics.db');
  const [command, ...args] = options.command ?? UNDER_TEST;
  const child = await startChild(command, [...args, 'start', ...(options.args ?? [])], {
    cwd: options.cwd ?? ROOT,
    env: {
      SQLITE_DB_PATH: databasePath,
      METRICS_SERVICE_PORT: String(port),
      OTEL_PROMETHEUS_PORT: String(scrapePort),
      METRICS_RATE_LIMIT: '10000000',
      METRICS_API_KEY_TEST: key,
      ...options.env,
    },
  });
  const url = `http://127.0.0.1:${port}`;
  const gateway: RunningGateway = {
    ...child,
    url,
    scrapeUrl: `http://127.0.0.1:${scrapePort}/metrics`,
    key,
    dataDirectory: options.dataDirectory,
    databasePath,
    post: (body, headers) =>
      fetch(`${url}/metrics`, {
        method: 'POST',
        headers: { 'content-type': 'application/json', 'x-api-key': key, ...headers },
        body: typeof body === 'string' ? body : JSON.stringify(body),
      }),
    scrape: async () => (await fetch(gateway.scrapeUrl)).text(),
    flush: async () => {
      // 503: there is more than it can write in the time that it gives itself.
      for (let attempt = 1; ; attempt += 1) {
        const response = await fetch(`${url}/flush`, { method: 'POST', headers: { 'x-api-key': key } });
        const answer = await response.text();
        if (response.ok) return;
        if (response.status !== 503 || attempt > 20) throw new Error(`POST /flush: ${response.status} ${answer}`);
      }
    },
  };
  return gateway;
}

/** Waits for `/readyz` to answer 200; what the gateway said is in the error where it never does. */
export async function untilReady(gateway: RunningGateway, deadlineMs = 60_000): Promise<void> {
  try {
    await waitFor(
      'the gateway to be ready',
      async () => {
        if (gateway.exit() !== undefined) return true;
        return (await fetch(`${gateway.url}/readyz`)).ok;
      },
      { deadlineMs },
    );
    if (gateway.exit() !== undefined) throw new Error('the gateway ended at once');
  } catch (error) {
    await gateway.stop('SIGKILL');
    throw new Error(`the gateway did not start. It said:\n${gateway.output()}`, { cause: error });
  }
}

/** Starts a gateway and returns once `/readyz` answers 200. */
export async function startGateway(options: GatewayOptions): Promise<RunningGateway> {
  const gateway = await spawnGateway(options);
  await untilReady(gateway);
  return gateway;
}
