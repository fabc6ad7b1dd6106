/** The Nodes that the client has to run on and that are here: the project's, and the machine's own where that is another one. */
import { execFileSync } from 'node:child_process';
import { delimiter, join } from 'node:path';

/** Paths of Node ≥ 20 by version. */
export function nodes(): ReadonlyMap<string, string> {
  const found = new Map([[process.version, process.execPath]]);
  const folders = [...(process.env['PATH'] ?? '').split(delimiter), '/usr/local/bin', '/usr/bin'];
  for (const folder of folders.filter((path) => path !== '' && !path.includes('node_modules'))) {
    const candidate = join(folder, 'node');
    try {
      const version = execFileSync(candidate, ['--version'], { encoding: 'utf8', stdio: 'pipe' }).trim();
      if (Number(version.slice(1).split('.')[0]) >= 20 && !found.has(version)) found.set(version, candidate);
    } catch {
      // Not there.
    }
  }
  return found;
}
