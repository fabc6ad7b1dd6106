/** When the totals are written to disk, and which checkpoints the snapshots there hold. Runs in the totals thread. */
import { readSnapshots, writeSnapshot } from '../../core/snapshot-file.ts';
import type { Checkpoint } from '../../core/journal.ts';
import type { SeriesSettings } from './instruments.ts';
import type { LogLine, SnapshotsHeld } from './messages.ts';
import { openKeeper, type RestoredTotals, storedCheckpoint, type TotalsKeeper } from './totals-keeper.ts';

const NAME = 'totals';
/** So much of the journal is replayed at most, whatever the interval. */
const SNAPSHOT_BYTES = 64 * 1024 * 1024;

export interface KeeperSnapshots {
  readonly keeper: TotalsKeeper;
  readonly held: () => SnapshotsHeld;
  /** Tells of applied bytes; begins a snapshot when many came since the last. */
  readonly applied: (bytes: number) => void;
  /**
   * Writes the state as it stands, unless both snapshots hold it already. A second one of the same state lets the journal
   * be trimmed up to it: a full journal takes nothing in, and would otherwise wait for a change for ever.
   */
  readonly write: () => Promise<void>;
  readonly stop: () => void;
}

export interface SnapshotOptions {
  readonly directory: string;
  readonly settings: SeriesSettings;
  readonly intervalMs: number;
  readonly log: (line: LogLine) => void;
  readonly onChange: (held: SnapshotsHeld) => void;
}

/** Restores the newest usable snapshot. One that cannot be used is said in one line, and the one before is taken. */
export async function openSnapshots(options: SnapshotOptions): Promise<KeeperSnapshots> {
  const { directory, settings, log } = options;
  const { snapshots, damaged } = await readSnapshots(directory, NAME);
  const problems = damaged.map(({ path, problem }) => `${path}: ${problem}`);
  let restored: RestoredTotals | undefined;
  let previous: Checkpoint | undefined;
  for (const { generation, bytes } of snapshots) {
    try {
      if (restored === undefined) restored = openKeeper(settings, bytes);
      else previous = storedCheckpoint(bytes);
    } catch (error) {
      problems.push(`generation ${generation}: ${(error as Error).message}`);
    }
  }
  if (problems.length > 0) {
    log({
      level: 'warn',
      fields: { problems },
      message:
        restored !== undefined
          ? 'a snapshot of the totals cannot be used; the one before it is, and the journal brings what it lacks'
          : 'no snapshot of the totals can be used; they begin anew with what the journal still holds',
    });
  }
  const { keeper, anew } = restored ?? openKeeper(settings, undefined);
  if (anew.length > 0) {
    log({
      level: 'warn',
      fields: { instruments: anew },
      message: 'labels or buckets are configured otherwise than before; these instruments start anew',
    });
  }
  return keepWriting(options, keeper, previous);
}

function keepWriting(
  options: SnapshotOptions,
  keeper: TotalsKeeper,
  previous: Checkpoint | undefined,
): KeeperSnapshots {
  const { directory, intervalMs, log, onChange } = options;
  let held: SnapshotsHeld = { newest: keeper.checkpoint(), previous, failures: 0 };
  let written = keeper.revision();
  let bytesSince = 0;
  let failing = false;
  let writing: Promise<void> | undefined;

  const writeOnce = async (): Promise<void> => {
    const checkpoint = keeper.checkpoint();
    const revision = keeper.revision();
    if (checkpoint === undefined || (revision === written && isSame(held.previous, held.newest))) return;
    bytesSince = 0;
    try {
      await writeSnapshot(directory, NAME, keeper.encode());
    } catch (error) {
      held = { ...held, failures: held.failures + 1 };
      onChange(held);
      throw error;
    }
    written = revision;
    held = { ...held, newest: checkpoint, previous: held.newest };
    onChange(held);
  };

  /** One at a time; a caller who comes during a write waits for the next, which holds what is there now. */
  const write = async (): Promise<void> => {
    while (writing !== undefined) await writing.catch(() => {});
    writing = writeOnce();
    try {
      await writing;
    } finally {
      writing = undefined;
    }
  };

  const writeAndTell = async (): Promise<void> => {
    try {
      await write();
      if (failing) log({ level: 'info', fields: {}, message: 'snapshots of the totals are written again' });
      failing = false;
    } catch (error) {
      if (!failing) {
        log({
          level: 'error',
          fields: { error: (error as Error).message },
          message: 'a snapshot of the totals could not be written; the journal keeps what it would have freed',
        });
      }
      failing = true;
    }
  };

  const writeInBackground = (): void => {
    // Its failures are told already.
    if (writing === undefined) writeAndTell().catch(() => {});
  };

  const timer = setInterval(writeInBackground, intervalMs);
  return {
    keeper,
    held: () => held,
    applied: (bytes) => {
      bytesSince += bytes;
      if (bytesSince >= SNAPSHOT_BYTES) writeInBackground();
    },
    write,
    stop: () => clearInterval(timer),
  };
}

const isSame = (a: Checkpoint | undefined, b: Checkpoint | undefined): boolean =>
  a?.journalId === b?.journalId && a?.sequence === b?.sequence && a?.count === b?.count;
