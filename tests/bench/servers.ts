/** The servers that scenarios load: the gateway as users run it, and baselines in processes of their own. */
import { type ChildProcess, fork } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type RunningGateway, spawnGateway, untilReady } from '../support/gateway.ts';
import { waitFor } from '../support/wait-for.ts';
import type { ByteCount } from './byte-counter.ts';
import { compiled } from './compiled.ts';
import type { Target } from './load.ts';
import type { Settings } from './scenario.ts';

export interface GatewayUnderTest extends Target {
  readonly gateway: RunningGateway;
  /** The process itself, where its CPU and memory can be read. */
  readonly pid: number;
  readonly adminKey: string;
  /** Milliseconds from the start of its process until it was ready. */
  readonly readyAfterMs: number;
  /** Measures with its probe while the work goes on, and returns what that found. */
  readonly probed: (work: () => Promise<void>) => Promise<unknown>;
  /** The next OTLP export, once it is over. @throws Error where there are no sinks */
  readonly nextExport: () => Promise<ByteCount>;
  readonly stop: () => Promise<void>;
}

export interface GatewaySettings {
  /** `none`: without sinks, so that no delivery works beside the HTTP thread. Default: all three, OTLP to a collector that takes everything. */
  readonly sinks?: 'all' | 'none';
  readonly dataDirectory?: string;
  /** `file`: with a pipeline.config.ts in the working directory. Default: the pipeline that ships with the package. */
  readonly pipeline?: 'package' | 'file';
  /** A pipeline of this folder, by its file's name, instead of one of those. */
  readonly config?: string;
  /** A module of ./probes, loaded into the gateway before anything else. */
  readonly probe?: 'loop-delay' | 'long-pieces';
  readonly env?: Readonly<Record<string, string>>;
  /** Pinned to the first core that there is, by `taskset`. */
  readonly onOneCore?: boolean;
}

/** @param command ends with the script */
const withOptions = (command: readonly string[], options: readonly string[]): [string, ...string[]] =>
  [...command.slice(0, -1), ...options, ...command.slice(-1)] as [string];

/** Its number; the first of those that this process may use. */
function firstCore(): string {
  const status = readFileSync('/proc/self/status', 'utf8');
  return /^Cpus_allowed_list:\s*(\d+)/m.exec(status)?.[1] ?? '0';
}

const KEYS = ['ONE', 'TWO', 'THREE', 'FOUR'];

/** Forks a module of this folder whose first message is its port. */
export async function forkServer(
  path: string,
  args: readonly string[] = [],
): Promise<{ child: ChildProcess; port: number }> {
  const child = fork(new URL(path, import.meta.url), args, { execArgv: ['--conditions=mcp-metrics-source'] });
  const [port] = (await once(child, 'message')) as [number];
  return { child, port };
}

export async function startServer(
  { profileDirectory }: Settings,
  {
    sinks = 'all',
    pipeline = 'package',
    config = sinks === 'none' ? 'no-sinks.config.ts' : undefined,
    probe,
    env,
    onOneCore = false,
    ...settings
  }: GatewaySettings = {},
): Promise<GatewayUnderTest> {
  const ownDirectory = settings.dataDirectory === undefined ? mkdtempSync(join(tmpdir(), 'bench-gateway-')) : undefined;
  const dataDirectory = settings.dataDirectory ?? ownDirectory!;
  const collector = sinks === 'all' ? await forkServer('./byte-counter.ts') : undefined;
  const keys = KEYS.map(() => `mcp_metrics_${randomBytes(32).toString('base64url')}`);
  const profile = profileDirectory === undefined ? [] : ['--cpu-prof', `--cpu-prof-dir=${profileDirectory}`];
  const probing = probe === undefined ? [] : ['--import', new URL(`./probes/${probe}.ts`, import.meta.url).href];
  const probeFile = join(dataDirectory, 'probe.json');
  const command = withOptions(compiled(), [...profile, ...probing]);
  const began = performance.now();
  const gateway = await spawnGateway({
    dataDirectory,
    ...(pipeline === 'package' ? { cwd: dataDirectory } : undefined),
    command: onOneCore ? ['taskset', '-c', firstCore(), ...command] : command,
    args: config === undefined ? [] : ['--config', join(import.meta.dirname, config)],
    env: {
      ...(collector === undefined
        ? undefined
        : { OTEL_EXPORTER_OTLP_ENDPOINT: `http://127.0.0.1:${collector.port}`, OTEL_METRIC_EXPORT_INTERVAL: '5000' }),
      NODE_ENV: 'production',
      ...(probe === undefined ? undefined : { BENCH_PROBE_FILE: probeFile }),
      LOG_LEVEL: 'warn',
      ...Object.fromEntries(KEYS.map((name, at) => [`METRICS_API_KEY_${name}`, keys[at]])),
      ...env,
    },
  });
  await untilReady(gateway);
  const readyAfterMs = performance.now() - began;
  return {
    gateway,
    pid: gateway.pid,
    url: `${gateway.url}/metrics`,
    keys,
    adminKey: keys[0]!,
    readyAfterMs,
    probed: async (work) => {
      rmSync(probeFile, { force: true });
      gateway.signal('SIGUSR2');
      await work();
      gateway.signal('SIGUSR2');
      await waitFor('what the probe found', () => existsSync(probeFile));
      return JSON.parse(readFileSync(probeFile, 'utf8')) as unknown;
    },
    nextExport: async () => {
      if (collector === undefined) throw new Error('a gateway without sinks does not export');
      const [found] = (await once(collector.child, 'message')) as [ByteCount];
      return found;
    },
    stop: async () => {
      await gateway.stop('SIGTERM');
      collector?.child.kill();
      if (ownDirectory !== undefined) rmSync(ownDirectory, { recursive: true, force: true });
    },
  };
}
