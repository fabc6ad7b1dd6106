/**
 * Command and arguments that run Node as a user would. tap instruments every child process through `NODE_OPTIONS`, which
 * `env` takes away again: hooks in the loader cost time, and some programs do not survive them.
 */
export const plainNode = (...args: readonly string[]): [command: string, args: string[]] => [
  'env',
  ['-u', 'NODE_OPTIONS', process.execPath, ...args],
];
