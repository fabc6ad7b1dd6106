/** A program under test as a child process: its output in hand, and an end to it whatever the test does. */
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';

export interface ChildOptions {
  readonly cwd?: string;
  /** The whole environment of the child but `PATH` and `HOME`. */
  readonly env?: Readonly<Record<string, string | undefined>>;
  /** Standard input is a pipe that `write` fills; default: there is none. */
  readonly input?: boolean;
}

export interface Exit {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

export interface Child {
  readonly pid: number;
  /** Standard output and standard error so far, in the order of arrival. */
  readonly output: () => string;
  /** To standard input, where there is one. */
  readonly write: (text: string) => void;
  readonly exited: Promise<Exit>;
  /** Undefined while it runs. */
  readonly exit: () => Exit | undefined;
  readonly signal: (signal: NodeJS.Signals) => void;
  /** Sends the signal and waits for the end; SIGKILL after `graceMs` (default 15,000). */
  readonly stop: (signal?: NodeJS.Signals, graceMs?: number) => Promise<Exit>;
}

const running = new Set<ChildProcess>();
process.on('exit', () => {
  for (const child of running) child.kill('SIGKILL');
});

export async function startChild(command: string, args: readonly string[], options: ChildOptions = {}): Promise<Child> {
  const { PATH, HOME } = process.env;
  // tap instruments every child process through `NODE_OPTIONS`: hooks in the loader that no user has.
  const child = spawn('env', ['-u', 'NODE_OPTIONS', command, ...args], {
    cwd: options.cwd,
    env: { PATH, HOME, ...options.env },
    stdio: [options.input === true ? 'pipe' : 'ignore', 'pipe', 'pipe'],
  });
  running.add(child);
  const chunks: Buffer[] = [];
  child.stdout?.on('data', (chunk: Buffer) => chunks.push(chunk));
  child.stderr?.on('data', (chunk: Buffer) => chunks.push(chunk));
  let exit: Exit | undefined;
  const exited = new Promise<Exit>((resolve) => {
    child.once('close', (code, signal) => {
      running.delete(child);
      exit = { code, signal };
      resolve(exit);
    });
  });
  await once(child, 'spawn');
  if (child.pid === undefined) throw new Error(`${command} did not start`);
  return {
    pid: child.pid,
    output: () => Buffer.concat(chunks).toString(),
    write: (text) => void child.stdin?.write(text),
    exited,
    exit: () => exit,
    signal: (signal) => child.kill(signal),
    stop: async (signal = 'SIGTERM', graceMs = 15_000) => {
      child.kill(signal);
      const late = setTimeout(() => child.kill('SIGKILL'), graceMs);
      try {
        return await exited;
      } finally {
        clearTimeout(late);
      }
    },
  };
}
