/** Does a gateway run, can it be spoken to, and is it ready? */
import { join } from 'node:path';
import { MAX_SOCKET_PATH_BYTES } from '../../http/control.ts';
import { CommandFailed } from '../connection.ts';
import { EXIT } from '../exit-codes.ts';
import { type Check, fault, messageOf, ok, warning } from './finding.ts';

export const checkGateway: Check = async ({ gateway, dataDirectory }) => {
  const socket = join(dataDirectory, 'control.sock');
  if (Buffer.byteLength(socket) > MAX_SOCKET_PATH_BYTES)
    return warning(
      'gateway',
      `${socket} is too long for a socket (${MAX_SOCKET_PATH_BYTES} bytes at most), so commands do not reach a gateway there`,
      'give it a data directory with a shorter path (SQLITE_DB_PATH), or reach it with --url and an admin key',
    );
  if (gateway === undefined) return ok('gateway', `none runs on ${dataDirectory}`);
  if (gateway instanceof Error) {
    const { code } = (gateway.cause ?? {}) as NodeJS.ErrnoException;
    return fault(
      'gateway',
      gateway.message,
      code === 'EACCES'
        ? 'run this as the user that the gateway runs as, or reach it with --url and an admin key'
        : 'check the address of --url, the key, and that the gateway runs there',
    );
  }
  try {
    await gateway.call('GET', '/readyz');
    return ok('gateway', `runs and is ready (${gateway.target})`);
  } catch (error) {
    if (error instanceof CommandFailed && error.exitCode === EXIT.unavailable)
      return fault(
        'gateway',
        `${gateway.target}: ${error.message}`,
        'check the address of --url, and that it runs there',
      );
    return fault(
      'gateway',
      `runs but is not ready: ${messageOf(error)}`,
      'read what /readyz names, and the log from when it began',
    );
  }
};
