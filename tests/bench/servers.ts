/** The servers that scenarios load: the gateway as users run it, and baselines in processes of their own. */
import { type ChildProcess, fork } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type RunningGateway, spawnGateway, untilReady } from '../support/gateway.ts';
import { plainNode } from '../support/plain-node.ts';
import { ROOT } from '../support/root.ts';
import type { Target } from './load.ts';
import type { Settings } from './scenario.ts';

export interface GatewayUnderTest extends Target {
  readonly gateway: RunningGateway;
  /** The process itself, where its CPU and memory can be read. */
  readonly pid: number;
  readonly adminKey: string;
  /** Milliseconds from the start of its process until it was ready. */
  readonly readyAfterMs: number;
  readonly stop: () => Promise<void>;
}

export interface GatewaySettings {
  /** `none`: without sinks, so that no delivery works beside the HTTP thread. Default: all three, OTLP to a collector that takes everything. */
  readonly sinks?: 'all' | 'none';
  readonly dataDirectory?: string;
  /** Default: from source. */
  readonly command?: readonly [string, ...string[]];
  /** `package`: the pipeline that ships, as where no file stands in the working directory. Default: pipeline.config.ts. */
  readonly pipeline?: 'package' | 'file';
  readonly env?: Readonly<Record<string, string>>;
}

/** @param command ends with the script */
const withOptions = (command: readonly string[], options: readonly string[]): [string, ...string[]] =>
  [...command.slice(0, -1), ...options, ...command.slice(-1)] as [string];

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
  { sinks = 'all', command, pipeline = 'file', env, ...settings }: GatewaySettings = {},
): Promise<GatewayUnderTest> {
  const ownDirectory = settings.dataDirectory === undefined ? mkdtempSync(join(tmpdir(), 'bench-gateway-')) : undefined;
  const dataDirectory = settings.dataDirectory ?? ownDirectory!;
  const collector = sinks === 'all' ? await forkServer('./byte-counter.ts') : undefined;
  const keys = KEYS.map(() => `mcp_metrics_${randomBytes(32).toString('base64url')}`);
  const profile = profileDirectory === undefined ? [] : ['--cpu-prof', `--cpu-prof-dir=${profileDirectory}`];
  const fromSource = plainNode(...profile, '--conditions=mcp-metrics-source', join(ROOT, 'src/cli/main.ts')).flat();
  const began = performance.now();
  const gateway = await spawnGateway({
    dataDirectory,
    ...(pipeline === 'package' ? { cwd: dataDirectory } : undefined),
    command: command === undefined ? (fromSource as [string]) : withOptions(command, profile),
    args: sinks === 'none' ? ['--config', join(import.meta.dirname, 'no-sinks.config.ts')] : [],
    env: {
      ...(collector === undefined
        ? undefined
        : { OTEL_EXPORTER_OTLP_ENDPOINT: `http://127.0.0.1:${collector.port}`, OTEL_METRIC_EXPORT_INTERVAL: '5000' }),
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
    stop: async () => {
      await gateway.stop('SIGTERM');
      collector?.child.kill();
      if (ownDirectory !== undefined) rmSync(ownDirectory, { recursive: true, force: true });
    },
  };
}
