/** A gateway on a machine that can be told to fail: faults.c in front of its C library, ruled by files. */
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Test } from 'tap';
import { UNDER_TEST, withEnvironment } from '../../support/gateway-command.ts';
import { programPath, skipWithout } from '../../support/tools.ts';

const compiler = programPath('cc') ?? programPath('gcc');
export const skipWithoutShim =
  process.platform === 'linux' ? skipWithout(compiler, 'apt-get install gcc') : 'LD_PRELOAD is for Linux';

export interface FaultyMachine {
  readonly dataDirectory: string;
  readonly command: readonly [string, ...string[]];
  readonly readOnly: (on: boolean) => void;
  /** From now on the wall clock is wrong by so many seconds. */
  readonly clockWrongBy: (seconds: number) => void;
}

export function faultyMachine(t: Test): FaultyMachine {
  const folder = mkdtempSync(join(tmpdir(), 'faults-'));
  t.teardown(() => rmSync(folder, { recursive: true, force: true }));
  const [library, control, dataDirectory] = ['faults.so', 'control', 'data'].map((name) => join(folder, name)) as [
    string,
    string,
    string,
  ];
  mkdirSync(control);
  mkdirSync(dataDirectory);
  const source = join(import.meta.dirname, 'faults.c');
  execFileSync(compiler ?? 'cc', ['-O2', '-shared', '-fPIC', '-o', library, source, '-ldl']);
  const settings = [`LD_PRELOAD=${library}`, `FAULTS_ROOT=${dataDirectory}`, `FAULTS_CONTROL=${control}`];
  const readOnly = join(control, 'read-only');
  return {
    dataDirectory,
    command: withEnvironment(UNDER_TEST, settings),
    readOnly: (on) => (on ? writeFileSync(readOnly, '') : rmSync(readOnly)),
    clockWrongBy: (seconds) => writeFileSync(join(control, 'clock'), String(seconds)),
  };
}
