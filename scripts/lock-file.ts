/**
 * Keeps package-lock.json fit for every machine: `lock-file.ts` completes it, `lock-file.ts --check` only looks.
 *
 * - It names no download addresses (`resolved`): each machine uses the registry that it is set up with.
 * - It lists the optional packages of all platforms. npm leaves out those that a registry mirror does not carry, and then
 *   `npm ci` refuses the whole file. Their version is known from the package that asks for them; their digest is not.
 */
import { readFileSync, writeFileSync } from 'node:fs';

interface LockedPackage {
  version: string;
  resolved?: string;
  dev?: boolean;
  optional?: boolean;
  os?: string[];
  cpu?: string[];
  libc?: string[];
  optionalDependencies?: Record<string, string>;
}

interface LockFile {
  packages: Record<string, LockedPackage>;
}

const PLATFORM =
  /(android|darwin|freebsd|linux|netbsd|openbsd|openharmony|sunos|win32|aix)-?(arm64|arm|x64|ia32|ppc64|riscv64|s390x|loong64|mips64el)/;

/** The platform that a package is for, read from its name as napi and esbuild give them. */
function platformOf(name: string): Pick<LockedPackage, 'os' | 'cpu' | 'libc'> | undefined {
  const match = PLATFORM.exec(name);
  if (match?.[1] === undefined || match[2] === undefined) return undefined;
  const libc = /musl/.test(name) ? ['musl'] : /gnu/.test(name) ? ['glibc'] : undefined;
  return { cpu: [match[2]], ...(libc && match[1] === 'linux' ? { libc } : undefined), os: [match[1]] };
}

/** Where npm looks for `name` from the package at `path`: in its own node_modules, then in those above. */
function isLocked(packages: LockFile['packages'], path: string, name: string): boolean {
  for (let folder = path; ; folder = folder.slice(0, Math.max(0, folder.lastIndexOf('/node_modules/')))) {
    const candidate = folder === '' ? `node_modules/${name}` : `${folder}/node_modules/${name}`;
    if (packages[candidate] !== undefined) return true;
    if (folder === '') return false;
  }
}

const file = new URL('../package-lock.json', import.meta.url);
const lock = JSON.parse(readFileSync(file, 'utf8')) as LockFile;
const faults: string[] = [];
const missing: Record<string, LockedPackage> = {};

for (const [path, locked] of Object.entries(lock.packages)) {
  if (locked.resolved !== undefined) {
    faults.push(`${path} names the download address that it came from`);
    delete locked.resolved;
  }
  for (const [name, version] of Object.entries(locked.optionalDependencies ?? {})) {
    if (isLocked(lock.packages, path, name)) continue;
    const platform = platformOf(name);
    if (platform === undefined || !/^\d/.test(version)) continue;
    faults.push(`${path} has the optional package ${name}, which is missing`);
    missing[`node_modules/${name}`] = {
      version,
      ...platform,
      ...(locked.dev === undefined ? undefined : { dev: locked.dev }),
      optional: true,
    };
  }
}

if (faults.length === 0) {
  console.log('package-lock.json: complete, without download addresses');
} else if (process.argv.includes('--check')) {
  console.error(`package-lock.json:\n  ${faults.join('\n  ')}\nRun: npm run lock`);
  process.exitCode = 1;
} else {
  const byPath = ([a]: readonly [string, unknown], [b]: readonly [string, unknown]): number => a.localeCompare(b, 'en');
  lock.packages = Object.fromEntries([...Object.entries(lock.packages), ...Object.entries(missing)].sort(byPath));
  writeFileSync(file, `${JSON.stringify(lock, null, 2)}\n`);
  console.log(`package-lock.json: repaired\n  ${faults.join('\n  ')}`);
}
