/** A gateway whose every change of its files is recorded by recorder.c, built with the machine's own C compiler. */
import { execFileSync } from 'node:child_process';
import { statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { UNDER_TEST, withEnvironment } from '../../support/gateway-command.ts';
import { programPath } from '../../support/tools.ts';

export const compiler = programPath('cc') ?? programPath('gcc');

export interface Recording {
  readonly command: readonly [string, ...string[]];
  readonly logPath: string;
  /** Bytes of the log now. */
  readonly size: () => number;
  /** The process dies before its next change, so that all that it changed is in the log. */
  readonly killBeforeNextChange: () => void;
}

/**
 * @param folder for the library and the log
 * @param killAt the change of this number, 1 being the first, is not made: the process dies by SIGKILL
 */
export function recording(folder: string, dataDirectory: string, killAt?: number): Recording {
  const library = join(folder, 'recorder.so');
  execFileSync(compiler ?? 'cc', [
    '-O2',
    '-shared',
    '-fPIC',
    '-o',
    library,
    join(import.meta.dirname, 'recorder.c'),
    '-ldl',
  ]);
  const logPath = join(folder, 'changes.log');
  const killPath = join(folder, 'kill');
  const settings = [
    `LD_PRELOAD=${library}`,
    `RECORD_ROOT=${dataDirectory}`,
    ...(killAt === undefined ? [`RECORD_LOG=${logPath}`, `RECORD_KILL_BY=${killPath}`] : [`RECORD_KILL_AT=${killAt}`]),
  ];
  return {
    command: withEnvironment(UNDER_TEST, settings),
    logPath,
    size: () => statSync(logPath).size,
    killBeforeNextChange: () => writeFileSync(killPath, ''),
  };
}
