/**
 * The history of the journal's ids. A journal restored from an older copy gets a new id, since sinks may already hold
 * what it will number again; a checkpoint of the old id then still says which of the old records a sink has.
 */
import { readFile } from 'node:fs/promises';
import { writeFileAtomically } from './files.ts';
import type { Checkpoint, Journal, Position } from './journal.ts';

interface Ancestor {
  readonly id: string;
  /** The head when this id ended: what a checkpoint of this id says beyond it never was in this journal. */
  readonly through: Position;
}

interface LineageFile {
  /** The id in the journal's own files. */
  readonly journal: string;
  /** The id that checkpoints carry. */
  readonly id: string;
  readonly ancestors: readonly Ancestor[];
}

export interface Lineage {
  /** The id that checkpoints carry from now on. */
  readonly id: string;
  /**
   * The position that a checkpoint means in this journal: never before its tail nor beyond its head.
   * @returns undefined for a checkpoint of some other journal
   */
  readonly locate: (checkpoint: Checkpoint) => Position | undefined;
}

/**
 * Reads the history and begins a new id where some checkpoint lies beyond the journal's head.
 * @param checkpoints all that sinks and snapshots hold
 * @returns the lineage, and whether a new id was begun because the journal is older than a checkpoint
 */
export async function openLineage(
  path: string,
  journal: Journal,
  checkpoints: readonly Checkpoint[],
  newId: () => string,
): Promise<{ lineage: Lineage; rolledBack: boolean }> {
  const known = await readLineage(path);
  let current: LineageFile =
    known?.journal === journal.id ? known : { journal: journal.id, id: journal.id, ancestors: [] };
  const head = journal.head();
  const rolledBack = checkpoints.some(({ journalId, count }) => journalId === current.id && count > head.count);
  if (rolledBack) {
    current = {
      journal: journal.id,
      id: newId(),
      ancestors: [...current.ancestors, { id: current.id, through: head }].slice(-16),
    };
  }
  if (current !== known) await writeFileAtomically(path, JSON.stringify(current));

  return {
    rolledBack,
    lineage: {
      id: current.id,
      locate: ({ journalId, sequence, count }) => {
        if (journalId === current.id) return { sequence, count };
        const ancestor = current.ancestors.find(({ id }) => id === journalId);
        if (ancestor === undefined) return undefined;
        return count >= ancestor.through.count ? ancestor.through : { sequence, count };
      },
    },
  };
}

async function readLineage(path: string): Promise<LineageFile | undefined> {
  try {
    const value = JSON.parse(await readFile(path, 'utf8')) as Partial<LineageFile>;
    return typeof value.journal === 'string' && typeof value.id === 'string' && Array.isArray(value.ancestors)
      ? (value as LineageFile)
      : undefined;
  } catch {
    return undefined;
  }
}
