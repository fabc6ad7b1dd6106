/** `mcp-metrics tail`: what passes through the gateway, as it passes. */
import type { Command } from 'commander';
import type { DeliveredEvent } from '../core/sink.ts';
import { connect, type ConnectionOptions } from './connection.ts';
import { printable } from './table.ts';

interface TailOptions extends ConnectionOptions {
  readonly type?: string[];
  readonly service?: string[];
  readonly json?: boolean;
}

export function tailCommand(command: Command): Command {
  return command
    .description('Show accepted metrics live, until interrupted.')
    .option('--type <type...>', 'only these metric types')
    .option('--service <name...>', 'only these services')
    .option('--json', 'one JSON object a line')
    .action(async ({ type, service, json, ...where }: TailOptions) => {
      const connection = await connect(where);
      const query = {
        ...(type === undefined ? undefined : { type }),
        ...(service === undefined ? undefined : { service }),
      };
      for await (const line of connection.lines('GET', '/admin/tail', { query })) {
        process.stdout.write(
          `${json === true ? JSON.stringify(line) : printable(readable(line as DeliveredEvent | { missed: number }))}\n`,
        );
      }
    });
}

function readable(line: DeliveredEvent | { missed: number }): string {
  if ('missed' in line) return `… ${line.missed} metrics came too fast to be shown`;
  const { receivedAt, type, service, durationMs, value, dimensions } = line;
  const time = new Date(receivedAt).toISOString().slice(11, 23);
  const size = durationMs === undefined ? String(value) : `${durationMs.toFixed(1)} ms`;
  const labels = Object.entries(dimensions).map(([name, text]) => `${name}=${String(text)}`);
  return `${time}  ${type.padEnd(18)} ${service.padEnd(20)} ${size.padStart(10)}  ${labels.join(' ')}`;
}
