/** The systemd unit, as systemd's own tool reads it. */
import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import t from 'tap';
import { ROOT } from '../support/root.ts';
import { programPath, skipWithout } from '../support/tools.ts';

const run = promisify(execFile);
const analyze = programPath('systemd-analyze');
const skip = skipWithout(analyze, 'Debian’s package systemd');
const UNIT = join(ROOT, 'deploy/systemd/mcp-metrics-gateway.service');

t.test('systemd-analyze verify finds nothing', { skip }, async (t) => {
  const { stdout, stderr } = await run(analyze ?? '', ['verify', UNIT]);
  t.equal(stdout + stderr, '');
});

t.test('it is confined: systemd-analyze security calls it OK', { skip }, async (t) => {
  const { stdout } = await run(analyze ?? '', ['security', '--offline=true', '--no-pager', UNIT]);
  const exposure = Number(/Overall exposure level for .*: ([\d.]+)/.exec(stdout)?.[1]);
  t.ok(exposure <= 2, `exposure ${exposure} of 10`);
});
