/** Is this Node new enough? */
import { fault, type Finding, ok } from './finding.ts';

const OLDEST_NODE = [22, 18] as const;

export function checkNode(version = process.versions.node): Finding {
  const [major = 0, minor = 0] = version.split('.').map(Number);
  const fits = major > OLDEST_NODE[0] || (major === OLDEST_NODE[0] && minor >= OLDEST_NODE[1]);
  if (fits) return ok('node', `v${version}`);
  return fault(
    'node',
    `v${version} is too old`,
    `install Node ${OLDEST_NODE.join('.')} or newer; 24 is what it is tested with`,
  );
}
