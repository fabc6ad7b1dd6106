/**
 * A container engine for tests: podman with runc, on a store of its own, and podman-compose, which runs the real compose file.
 * No registry of images is asked: base images are stand-ins made of this machine's own programs, tagged with the names that are asked for.
 */
import { execFile } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, writeFileSync } from 'node:fs';
import { cp, realpath, rm, symlink } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { ROOT } from './root.ts';
import { programPath, skipWithout } from './tools.ts';

const run = promisify(execFile);
const MAX_OUTPUT = { maxBuffer: 64 * 1024 * 1024 };
const podman = programPath('podman');
const compose = programPath('podman-compose');

/** tap's `skip`: false where containers can be run. */
export const skipContainers: false | string =
  process.platform !== 'linux' || process.getuid?.() !== 0
    ? 'containers are run as root on Linux'
    : skipWithout(
        podman && programPath('runc') && programPath('iptables'),
        'Debian’s podman, runc, netavark, iptables',
      ) || skipWithout(compose, 'podman-compose of PyPI');

export interface Engine {
  readonly podman: (...args: readonly string[]) => Promise<string>;
  /** podman-compose on deploy/compose.yaml. */
  readonly compose: (...args: readonly string[]) => Promise<string>;
  /** Makes an image of programs of this machine. @param more puts further files into its root */
  readonly standIn: (
    image: string,
    programs: readonly string[],
    changes: readonly string[],
    more?: (root: string) => Promise<unknown>,
  ) => Promise<void>;
  /** Ends every container and removes the store. */
  readonly stop: () => Promise<void>;
}

/** @param env of podman-compose: the variables that the compose file asks for */
export function startEngine(env: Readonly<Record<string, string>>): Engine {
  const folder = mkdtempSync(join(tmpdir(), 'mcp-metrics-containers-'));
  const [config, storage] = [join(folder, 'containers.conf'), join(folder, 'storage.conf')];
  writeFileSync(
    config,
    [
      '[containers]',
      'default_ulimits = ["nofile=1024:1024", "nproc=4096:4096"]',
      '[engine]',
      'cgroup_manager = "cgroupfs"',
      'runtime = "runc"',
      'events_logger = "file"',
      '[network]',
      'network_backend = "netavark"',
    ].join('\n'),
  );
  writeFileSync(storage, `[storage]\ndriver = "overlay"\ngraphroot = "${folder}/store"\nrunroot = "${folder}/run"\n`);
  const options = {
    ...MAX_OUTPUT,
    cwd: ROOT,
    env: { ...process.env, ...env, CONTAINERS_CONF: config, CONTAINERS_STORAGE_CONF: storage },
  };
  const say = async (program: string, args: readonly string[]): Promise<string> => {
    try {
      return (await run(program, args, options)).stdout;
    } catch (error) {
      const { stdout = '', stderr = '' } = error as { stdout?: string; stderr?: string };
      throw new Error(`${program} ${args.join(' ')}\n${stdout}${stderr}`.slice(-6000), { cause: error });
    }
  };
  const engine: Engine = {
    podman: (...args) => say(podman ?? '', args),
    compose: (...args) => say(compose ?? '', ['-f', 'deploy/compose.yaml', ...args]),
    standIn: async (image, programs, changes, more) => {
      const root = join(folder, 'root');
      const archive = join(folder, 'root.tar');
      await run(join(ROOT, 'tests/support/root-of-an-image'), [root, ...programs]);
      await more?.(root);
      await run('tar', ['-C', root, '-cf', archive, '.']);
      await engine.podman('import', '--quiet', ...changes.flatMap((change) => ['--change', change]), archive, image);
      await rm(root, { recursive: true });
      await rm(archive);
    },
    stop: async () => {
      // What others require is refused as long as those are there: three rounds for the three storeys of the compose file.
      const removeAll = (): Promise<string> => engine.podman('rm', '--all', '--force', '--volumes', '--time=2');
      await removeAll().catch(removeAll).catch(removeAll);
      await rm(folder, { recursive: true, force: true, maxRetries: 5 });
    },
  };
  return engine;
}

/** Node 24 of this checkout and this machine's npm, with the user `node`, as the official image has them. */
export const standInForNode = (engine: Engine): Promise<void> =>
  engine.standIn('docker.io/library/node:24-bookworm-slim', [], ['CMD ["node"]'], async (root) => {
    const npm = dirname(dirname(await realpath(programPath('npm') ?? '')));
    const node = join(ROOT, 'node_modules/node/bin/node');
    await run('bash', [
      '-c',
      `cp "$1" "$2/usr/local/bin/node"; ldd "$1" | grep -o '/[^ ]*' | xargs cp -L --parents -n -t "$2"`,
      '-',
      node,
      root,
    ]);
    await cp(npm, join(root, 'usr/local/lib/node_modules/npm'), { recursive: true });
    await symlink('../lib/node_modules/npm/bin/npm-cli.js', join(root, 'usr/local/bin/npm'));
  });

/** Builds deploy/Dockerfile as it is. npm’s cache is lent to the build, so that it fetches little. */
export async function buildImage(engine: Engine, image: string): Promise<void> {
  const cache = (await run('npm', ['config', 'get', 'cache'])).stdout.trim();
  if (!existsSync(cache)) mkdirSync(cache, { recursive: true });
  await engine.podman(
    'build', '--pull=never', '--layers=false', '--network=host', '--format=docker', `--volume=${cache}:/root/.npm`,
    '--file=deploy/Dockerfile', `--tag=${image}`, '.',
  ); // prettier-ignore
}
