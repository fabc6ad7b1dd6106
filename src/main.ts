/** A gateway from its config file to the signal that ends it. */
import { findConfig, loadConfig } from './config.ts';
import type { Log } from './core/ports.ts';
import { endEarlyThreads } from './core/threads.ts';
import { commandLine } from './command-line.ts';
import { type Gateway, hostInUrl } from './gateway.ts';
import { startPatiently } from './gateway/patient-start.ts';
import { version } from './version.ts';

export interface RunOptions {
  /** Path of the config file; undefined looks in the working directory. */
  readonly config?: string | undefined;
  readonly log: Log;
  /** Writes to the person at the terminal; undefined where nobody watches, and no key is made then. */
  readonly print?: ((text: string) => void) | undefined;
}

/** Runs until SIGTERM or SIGINT. Resolves once everything is closed. */
export async function runGateway({ config, log, print }: RunOptions): Promise<void> {
  const path = findConfig(config);
  const pipeline = await loadConfig(path);
  const ending = new AbortController();
  const signalled = nextSignal(ending);
  const gateway = await startPatiently(pipeline, { log, version }, ending.signal);
  if (gateway === undefined) return log.info({}, 'stopped before it could start');
  await endEarlyThreads();
  log.info(
    {
      url: urlOf(gateway),
      prometheus: gateway.scrapeUrl,
      data: gateway.dataDirectory,
      database: gateway.databasePath,
      config: path,
      version,
    },
    'ready: metrics are taken',
  );
  if (gateway.keys.size() === 0) await firstKeys(gateway, log, print);
  log.info({ signal: await signalled }, 'stopping: what is in flight is answered, what waits is delivered');
  await gateway.stop();
  log.info({}, 'stopped');
}

/** The first signal aborts `ending` and stops in good order; a second one does not wait. */
function nextSignal(ending: AbortController): Promise<string> {
  return new Promise((resolve) => {
    const end = (reason: string): void => {
      ending.abort();
      resolve(reason);
    };
    for (const signal of ['SIGTERM', 'SIGINT'] as const) {
      process.on(signal, () => {
        if (ending.signal.aborted) process.exit(1);
        end(signal);
      });
    }
    if (process.env['npm_lifecycle_event'] !== undefined) onceParentIsGone(() => end('the end of npm'));
  });
}

/**
 * npm hands a signal to the shell that it runs scripts in, and that shell dies without passing it on: the gateway of a
 * stopped `npm start` would go on alone, with the port and the data directory.
 */
function onceParentIsGone(callback: () => void): void {
  const parent = process.ppid;
  const timer = setInterval(() => {
    if (process.ppid === parent) return;
    clearInterval(timer);
    callback();
  }, 250);
  timer.unref();
}

const urlOf = ({ protocol, host, port }: Gateway): string => `${protocol}://${hostInUrl(host)}:${port}`;

/** Nobody can send anything yet: on a terminal make the first keys and show them once, elsewhere say how. */
async function firstKeys(gateway: Gateway, log: Log, print: RunOptions['print']): Promise<void> {
  if (print === undefined) {
    log.warn(
      {},
      `no API key is known, so every request is answered 401; create one with: ${commandLine()} keys create --service my-service`,
    );
    return;
  }
  const ingest = await gateway.keys.create({
    service: 'first-service',
    description: 'made at the first start',
    scopes: ['ingest'],
  });
  const admin = await gateway.keys.create({
    service: 'admin',
    description: 'made at the first start',
    scopes: ['admin', 'read'],
  });
  print(`
No API key was known, so two were made. They are shown this once; only their hashes are stored.

  ingest key   ${ingest.secret}
  admin key    ${admin.secret}

Send a first metric:

  curl -X POST ${urlOf(gateway)}/metrics \\
    -H 'X-API-Key: ${ingest.secret}' -H 'Content-Type: application/json' \\
    -d '{"service":"my-service","metrics":[{"type":"tool_execution","value":1,"duration_ms":42,"dimensions":{"tool_name":"search","success":true}}]}'
${gateway.scrapeUrl === undefined ? '' : `\nand see it:\n\n  curl -s ${gateway.scrapeUrl} | grep mcp_tool\n`}
`);
}
