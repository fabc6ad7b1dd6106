/**
 * Shows how far long work is: a live bar on a terminal, a line now and then elsewhere. Not clack's bar: that one takes the
 * keyboard, and ends an interrupted command with exit code 0.
 */
import { type CallOptions, CommandFailed, type Connection } from './connection.ts';

interface Line {
  readonly progress?: { readonly done: number; readonly total: number; readonly what?: string };
  readonly result?: unknown;
  readonly error?: string;
}

const WIDTH = 30;
const QUIET_MS = 5000;

/** Runs a route that answers in lines of progress, and returns its result. */
export async function withProgress(
  connection: Connection,
  path: string,
  label: string,
  options: CallOptions = {},
): Promise<unknown> {
  const live = process.stderr.isTTY === true;
  let told = 0;
  const show = ({ done, total, what = label }: NonNullable<Line['progress']>): void => {
    const share = total === 0 ? 1 : Math.min(1, done / total);
    if (live) {
      const full = Math.round(share * WIDTH);
      process.stderr.write(
        `\r\u001B[K${what} ${'█'.repeat(full)}${'░'.repeat(WIDTH - full)} ${Math.floor(share * 100)} %`,
      );
    } else if (performance.now() - told > QUIET_MS) {
      told = performance.now();
      process.stderr.write(`${what}: ${Math.floor(share * 100)} %\n`);
    }
  };
  for await (const line of connection.lines('POST', path, options)) {
    const { progress, result, error } = line as Line;
    if (progress !== undefined) show(progress);
    if (live && (result !== undefined || error !== undefined)) process.stderr.write('\r\u001B[K');
    if (error !== undefined) throw new CommandFailed(error);
    if (result !== undefined) return result;
  }
  throw new CommandFailed('the gateway ended the work without a result; its log says why');
}
