/** The checkpoint of a sink, one small file each; also the memory of which sinks there have been. */
import { readdir, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { makeDirectory, writeFileAtomically } from './files.ts';
import type { Checkpoint } from './journal.ts';
import { seal, unseal } from './sealed-json.ts';

export type FiledCheckpoint = Checkpoint | 'damaged' | undefined;

export interface CheckpointFiles {
  /** Undefined for a sink never seen; `damaged` for one whose file cannot be read. */
  readonly read: (sink: string) => Promise<FiledCheckpoint>;
  /** Durable once resolved. */
  readonly write: (sink: string, checkpoint: Checkpoint) => Promise<void>;
  /** Forgets the sinks not named; tells which. */
  readonly keepOnly: (sinks: readonly string[]) => Promise<readonly string[]>;
}

const isCheckpoint = (value: object): value is Checkpoint => {
  const { journalId, sequence, count } = value as Partial<Checkpoint>;
  return typeof journalId === 'string' && Number.isSafeInteger(sequence) && Number.isSafeInteger(count);
};

export async function openCheckpointFiles(directory: string): Promise<CheckpointFiles> {
  await makeDirectory(directory);
  const pathOf = (sink: string): string => join(directory, `${sink}.json`);
  return {
    read: async (sink) => {
      try {
        const value = unseal(await readFile(pathOf(sink), 'utf8'));
        return isCheckpoint(value)
          ? { journalId: value.journalId, sequence: value.sequence, count: value.count }
          : 'damaged';
      } catch (error) {
        return (error as NodeJS.ErrnoException).code === 'ENOENT' ? undefined : 'damaged';
      }
    },
    write: (sink, checkpoint) => writeFileAtomically(pathOf(sink), seal(checkpoint)),
    keepOnly: async (sinks) => {
      const known = (await readdir(directory))
        .filter((name) => name.endsWith('.json'))
        .map((name) => name.slice(0, -5));
      const gone = known.filter((name) => !sinks.includes(name));
      for (const sink of gone) await rm(pathOf(sink), { force: true });
      return gone;
    },
  };
}
