/**
 * The history of the journal's ids. A journal restored from an older copy gets a new id, since sinks may already hold
 * what it will number again; a checkpoint of the old id then still says which of the old records a sink has.
 */
import { readFile } from 'node:fs/promises';
import { writeFileAtomically } from './files.ts';
import type { Checkpoint, Journal, Position } from './journal.ts';
import { seal, unseal } from './sealed-json.ts';

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
  /** Oldest first. */
  readonly ancestors: readonly Ancestor[];
}

export interface Lineage {
  /** The id that checkpoints carry from now on. */
  readonly id: string;
  /**
   * The position that a checkpoint means in this journal, never beyond what both the sink and the journal hold.
   * @returns undefined for a checkpoint of some other journal
   */
  readonly locate: (checkpoint: Checkpoint) => Position | undefined;
}

/** Rollbacks remembered: a checkpoint that outlived more of them counts as one of another journal. */
const MAX_ANCESTORS = 16;

/**
 * Reads the history, and begins a new id where some checkpoint lies beyond the journal's head.
 * @param checkpoints all that sinks hold
 */
export async function openLineage(
  path: string,
  journal: Journal,
  checkpoints: readonly Checkpoint[],
  newId: () => string,
): Promise<Lineage> {
  const known = await readLineage(path);
  let current: LineageFile =
    known?.journal === journal.id ? known : { journal: journal.id, id: journal.id, ancestors: [] };
  const head = journal.head();
  const rolledBack = checkpoints.some(
    (checkpoint) => checkpoint.journalId === current.id && isBeyond(checkpoint, head),
  );
  if (rolledBack) {
    current = {
      journal: journal.id,
      id: newId(),
      ancestors: [...current.ancestors, { id: current.id, through: head }].slice(-MAX_ANCESTORS),
    };
  }
  if (current !== known) await writeFileAtomically(path, seal(current));
  const { id, ancestors } = current;
  return {
    id,
    locate: ({ journalId, sequence, count }) => {
      const at = { sequence, count };
      if (journalId === id) return at;
      const first = ancestors.findIndex((ancestor) => ancestor.id === journalId);
      if (first === -1) return undefined;
      // Each rollback since may have taken away more.
      return ancestors.slice(first).reduce((least, { through }) => (isBeyond(least, through) ? through : least), at);
    },
  };
}

const isBeyond = (position: Position, limit: Position): boolean =>
  position.count > limit.count || position.sequence > limit.sequence;

async function readLineage(path: string): Promise<LineageFile | undefined> {
  try {
    const value = unseal(await readFile(path, 'utf8')) as Partial<LineageFile>;
    return typeof value.journal === 'string' && typeof value.id === 'string' && Array.isArray(value.ancestors)
      ? (value as LineageFile)
      : undefined;
  } catch {
    return undefined;
  }
}
