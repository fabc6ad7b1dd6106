/** Runs a benchmark that is a program of its own, in a process of its own, and returns what it printed. */
import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { plainNode } from '../support/plain-node.ts';

export async function runScript(file: string, args: readonly string[] = []): Promise<string> {
  const [command, all] = plainNode('--conditions=mcp-metrics-source', join(import.meta.dirname, file), ...args);
  const { stdout } = await promisify(execFile)(command, all, { maxBuffer: 16 * 1024 * 1024 });
  return stdout;
}
