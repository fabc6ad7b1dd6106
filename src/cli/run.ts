/** Runs the command line, and turns what went wrong into words and an exit code. */
import { CommanderError } from 'commander';
import { ConfigError } from '../config.ts';
import { CommandFailed } from './connection.ts';
import { EXIT } from './exit-codes.ts';
import { program } from './program.ts';
import { printable } from './table.ts';

// Databases, backups and keys' hashes are their owner's alone.
process.umask(process.umask() | 0o077);
// `mcp-metrics tail | head` reads no further: that is no fault of anybody's.
process.stdout.on('error', (error: NodeJS.ErrnoException) =>
  process.exit(error.code === 'EPIPE' ? EXIT.ok : EXIT.failed),
);

/** A port or a data directory that another process has, that this one may not use, or that cannot be. */
const UNAVAILABLE: ReadonlySet<unknown> = new Set([
  'EADDRINUSE',
  'EADDRNOTAVAIL',
  'EBUSY',
  'EACCES',
  'EPERM',
  'EROFS',
  'EEXIST',
  'ENOTDIR',
]);

try {
  await program.parseAsync();
  // Timers and workers of a stopped gateway must not keep the process.
  process.exit(process.exitCode ?? EXIT.ok);
} catch (error) {
  process.exit(report(error));
}

function report(error: unknown): number {
  if (error instanceof CommanderError) return error.exitCode === 0 ? EXIT.ok : EXIT.usage;
  const message = error instanceof Error ? error.message : String(error);
  process.stderr.write(`mcp-metrics: ${message.split('\n').map(printable).join('\n')}\n`);
  if (error instanceof ConfigError) return EXIT.config;
  if (error instanceof CommandFailed) return error.exitCode;
  for (let at = error; at instanceof Error; at = at.cause) {
    if (UNAVAILABLE.has((at as NodeJS.ErrnoException).code)) return EXIT.unavailable;
  }
  return EXIT.failed;
}
