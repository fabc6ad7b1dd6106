/** A gateway whose own sinks a test puts into a mood while it runs. See configs/troubled-sinks.ts. */
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type GatewayOptions, type RunningGateway, startGateway } from '../support/gateway.ts';

export interface TroubledOptions extends GatewayOptions {
  /** Name → what it does when the journal is full. */
  readonly sinks?: Readonly<Record<string, 'refuse' | 'skip'>>;
  readonly maxJournalBytes?: number;
}

export interface TroubledGateway extends RunningGateway {
  readonly setMood: (sink: string, mood: string) => Promise<void>;
  /** Event ids in the order in which the sink took them. */
  readonly taken: (sink: string) => Promise<readonly string[]>;
}

export async function startTroubled(options: TroubledOptions): Promise<TroubledGateway> {
  const { sinks = {}, maxJournalBytes, dataDirectory, env } = options;
  const gateway = await startGateway({
    ...options,
    args: ['--config', join(import.meta.dirname, 'configs/troubled-sinks.ts'), ...(options.args ?? [])],
    env: {
      TROUBLE_DIR: dataDirectory,
      TROUBLED: Object.entries(sinks)
        .map(([name, whenFull]) => `${name}:${whenFull}`)
        .join(','),
      FLUSH_INTERVAL_SECONDS: '0.2',
      ...(maxJournalBytes === undefined ? undefined : { MAX_JOURNAL_BYTES: String(maxJournalBytes) }),
      ...env,
    },
  });
  return {
    ...gateway,
    setMood: (sink, mood) => writeFile(join(dataDirectory, `${sink}.mood`), mood),
    taken: async (sink) => {
      const text = await readFile(join(dataDirectory, `${sink}.taken`), 'utf8').catch(() => '');
      return text.split('\n').filter((line) => line !== '');
    },
  };
}
