/** `mcp-metrics journal inspect`: what the journal's files hold, damage included; reads alone. */
import { join } from 'node:path';
import { existsSync } from 'node:fs';
import type { Command } from 'commander';
import { describeInspected, inspectJournal } from '../journal/inspect.ts';
import { CommandFailed, dataLocation } from './connection.ts';
import { EXIT } from './exit-codes.ts';

interface InspectOptions {
  readonly config?: string;
  readonly records?: boolean;
  readonly json?: boolean;
}

export function journalCommand(journal: Command): Command {
  journal.description('Look at the journal.');
  journal
    .command('inspect')
    .description('List segments, damage and gaps; a gateway may be running meanwhile.')
    .argument('[directory]', 'default: journal in the data directory')
    .option('-c, --config <file>', 'the pipeline; default as for start')
    .option('--records', 'each record too')
    .option('--json', 'one JSON object a line')
    .action(async (directory: string | undefined, { config, records, json }: InspectOptions) => {
      const path = directory ?? join((await dataLocation(config)).dataDirectory, 'journal');
      if (!existsSync(path)) throw new CommandFailed(`${path}: there is no journal yet`, EXIT.notFound);
      for await (const item of inspectJournal(path)) {
        if (item.kind === 'record' && records !== true) continue;
        process.stdout.write(`${json === true ? JSON.stringify(item) : describeInspected(item)}\n`);
      }
    });
  return journal;
}
