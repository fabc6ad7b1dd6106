/** Where each sink goes on after a start, and what is said where its checkpoint and the journal do not fit. */
import type { FiledCheckpoint } from './checkpoint-file.ts';
import type { Checkpoint, Journal, Position } from './journal.ts';
import type { Lineage } from './lineage.ts';
import type { Log, Telemetry } from './ports.ts';
import type { Sink } from './sink.ts';

/** What two places say about how far a sink has come. */
export interface StoredCheckpoints {
  /** The sink's own; undefined where it keeps none, or none any longer. */
  readonly own: Checkpoint | undefined;
  /** The gateway's file; of a sink with a checkpoint of its own it says no more than that the sink has been here before. */
  readonly file: FiledCheckpoint;
}

/** Why a sink did not simply go on from its checkpoint. */
export type Misfit = 'journal_rolled_back' | 'other_journal' | 'checkpoint_lost' | 'trimmed';

export interface Placement {
  readonly position: Position;
  readonly misfit: Misfit | undefined;
}

/** What a sink holds, as far as anybody can still say. */
export const checkpointOf = (sink: Sink, { own, file }: StoredCheckpoints): Checkpoint | undefined =>
  sink.checkpoint !== undefined ? own : file === 'damaged' ? undefined : file;

/** Decides without saying anything. A sink never seen before starts at the journal's end. */
export function place(sink: Sink, stored: StoredCheckpoints, lineage: Lineage, journal: Journal): Placement {
  const checkpoint = checkpointOf(sink, stored);
  if (checkpoint === undefined) {
    // Of a journal that never held anything nothing can have been lost.
    return stored.file === undefined || journal.head().count === 0
      ? { position: journal.head(), misfit: undefined }
      : { position: journal.tail(), misfit: 'checkpoint_lost' };
  }
  const position = lineage.locate(checkpoint);
  if (position === undefined) return { position: journal.tail(), misfit: 'other_journal' };
  if (position.count < checkpoint.count) return { position, misfit: 'journal_rolled_back' };
  return { position, misfit: position.count < journal.tail().count ? 'trimmed' : undefined };
}

const WORDS: Readonly<Record<Misfit, string>> = {
  journal_rolled_back:
    'the journal is older than what this sink holds, as after restoring a backup; the sink goes on where both agree',
  other_journal: 'the journal is another one than this sink knows; the sink gets everything that the journal holds',
  checkpoint_lost:
    'where this sink stood is lost, as after deleting its data; it gets everything that the journal still holds',
  trimmed:
    'this sink is older than the journal, as after restoring a backup; what the journal no longer holds is skipped and counted',
};

/** One log line and one metric for every sink whose checkpoint did not fit. */
export function tellPlacements(
  placements: ReadonlyMap<string, Placement>,
  journal: Journal,
  log: Log,
  telemetry: Telemetry,
): void {
  for (const [sink, { position, misfit }] of placements) {
    const missing = Math.max(0, journal.tail().count - position.count);
    if (misfit !== undefined)
      log.warn({ sink, misfit, queued: journal.head().count - position.count, missing }, WORDS[misfit]);
  }
  telemetry.gauge(
    {
      name: 'mcp_gateway_sink_checkpoint_misfit',
      help: 'Sinks whose checkpoint did not fit the journal at the last start, by what was wrong; always 1.',
    },
    () =>
      [...placements].flatMap(([sink, { misfit }]) => (misfit === undefined ? [] : [[{ sink, misfit }, 1] as const])),
  );
}
