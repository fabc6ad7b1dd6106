/** The command line as a script runs it: a process of its own, its output in hand. */
import { execFile } from 'node:child_process';
import { UNDER_TEST } from './gateway-command.ts';
import { ROOT } from './root.ts';

export interface Ran {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

const [node, ...entry] = UNDER_TEST;

/** Runs `mcp-metrics` to its end. */
export function runCli(env: Readonly<Record<string, string>>, ...args: string[]): Promise<Ran> {
  return new Promise((resolve) => {
    execFile(
      node,
      [...entry, ...args],
      { cwd: ROOT, env: { PATH: process.env['PATH'] ?? '', ...env }, maxBuffer: 1e8 },
      (error, stdout, stderr) => resolve({ code: error === null ? 0 : Number(error.code), stdout, stderr }),
    );
  });
}
