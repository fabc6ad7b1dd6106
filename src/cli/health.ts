/** `mcp-metrics health`: one question to the gateway of this data directory, for a container's health check. */
import type { Command } from 'commander';
import { connect, type ConnectionOptions } from './connection.ts';

export function healthCommand(command: Command): Command {
  return command
    .description('Exit 0 when the gateway takes metrics, 1 with what is wrong, 69 when none runs.')
    .action(async (where: ConnectionOptions) => {
      const connection = await connect(where);
      const { status } = (await connection.call('GET', '/readyz')) as { status: string };
      process.stdout.write(`${status}\n`);
    });
}
