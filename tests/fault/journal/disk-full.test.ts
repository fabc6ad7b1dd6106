import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import t from 'tap';

const run = promisify(execFile);
const MOUNT = 'mount -t tmpfs -o size=2m tmpfs "$1"';

interface Seen {
  readonly status: number;
  readonly message: string;
  readonly trouble: string;
  readonly stillRefused: boolean;
  readonly healed: boolean;
  readonly accepted: readonly string[];
  readonly found: readonly string[];
  readonly recovery: object;
}

/** A mount namespace of its own needs rights that not every machine gives. */
const mountable = await run('unshare', ['-rm', 'sh', '-c', MOUNT, 'sh', '/mnt']).then(
  () => true,
  () => false,
);

t.test(
  'a real full disk: 503, nothing half-accepted, and it heals by itself once there is room',
  { skip: mountable ? false : 'no mount namespaces here; tests/journal/disk-trouble.test.ts has a simulated disk' },
  async (t) => {
    const node = `env -u NODE_OPTIONS "$2" --conditions=mcp-metrics-source "$3" "$1"`;
    const script = join(import.meta.dirname, 'full-disk.ts');
    const { stdout } = await run('unshare', [
      '-rm',
      'sh',
      '-c',
      `${MOUNT} && ${node}`,
      'sh',
      '/mnt',
      process.execPath,
      script,
    ]);
    const seen = JSON.parse(stdout) as Seen;
    t.equal(seen.status, 503);
    t.match(seen.message, /no space left on its disk \(ENOSPC\)/);
    t.match(seen.trouble, /ENOSPC/);
    t.ok(seen.stillRefused, 'as long as there is no room');
    t.ok(seen.healed, 'by itself');
    t.ok(seen.accepted.length > 50);
    t.same(seen.found, seen.accepted, 'what was accepted is there, and nothing else');
    t.match(seen.recovery, { lostMetrics: 0, damagedBytes: 0 });
  },
);
