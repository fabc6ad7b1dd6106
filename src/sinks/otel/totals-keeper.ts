/**
 * The registry together with its place in the journal: applies each event exactly once, and becomes one snapshot with
 * that place, so that a restored state and the journal behind it always fit.
 */
import { randomUUID } from 'node:crypto';
import type { Checkpoint } from '../../core/journal.ts';
import { readRecord } from '../../core/record.ts';
import { type DeliveredRecord, Unacceptable } from '../../core/sink.ts';
import type { SeriesSettings } from './instruments.ts';
import { type RegistryState, restoreRegistry, storeRegistry } from './registry-state.ts';
import { SeriesRegistry } from './series-registry.ts';

const VERSION = 1;

interface StoredTotals {
  readonly version: typeof VERSION;
  /** `service.instance.id`: the same over restarts, as the sums are, so that a backend sees one stream. */
  readonly instanceId: string;
  readonly checkpoint: Checkpoint | undefined;
  readonly registry: RegistryState;
}

export interface TotalsKeeper {
  readonly registry: SeriesRegistry;
  readonly instanceId: string;
  /** Counts up with every change. */
  readonly revision: () => number;
  /**
   * Everything up to here is counted. It may belong to another journal than the one at hand (a restored backup, a
   * deleted journal): the totals are still true, and the delivery decides where to go on.
   */
  readonly checkpoint: () => Checkpoint | undefined;
  /**
   * Counts what is new in these records. Writes may come again, whole or in parts: what is counted already is passed
   * over.
   * @throws Unacceptable for a record that cannot be decoded; everything before it stays counted
   */
  readonly apply: (records: Iterable<DeliveredRecord>, checkpoint: Checkpoint) => void;
  /** Counts records that lie before the checkpoint and were left out when it was passed. @throws Unacceptable */
  readonly applyLate: (records: Iterable<DeliveredRecord>) => void;
  readonly encode: () => Uint8Array;
}

export interface RestoredTotals {
  readonly keeper: TotalsKeeper;
  /** Names of instruments that start anew because they are configured otherwise now. */
  readonly anew: readonly string[];
}

/**
 * @param bytes what `encode` gave; undefined begins with nothing
 * @throws Error for bytes that are no such snapshot
 */
export function openKeeper(settings: SeriesSettings, bytes: Uint8Array | undefined): RestoredTotals {
  const registry = new SeriesRegistry(settings);
  if (bytes === undefined) return { keeper: keep(registry, randomUUID(), undefined), anew: [] };
  const stored = readStored(bytes);
  const anew = restoreRegistry(registry, stored.registry);
  return { keeper: keep(registry, stored.instanceId, stored.checkpoint), anew };
}

/** The place that a snapshot holds, without restoring it. @throws Error like `openKeeper` */
export const storedCheckpoint = (bytes: Uint8Array): Checkpoint | undefined => readStored(bytes).checkpoint;

function readStored(bytes: Uint8Array): StoredTotals {
  const stored = JSON.parse(new TextDecoder().decode(bytes)) as StoredTotals;
  const version: number = stored.version;
  if (version !== VERSION) {
    throw new Error(`a snapshot of version ${version}; this gateway reads version ${VERSION}`);
  }
  return stored;
}

function keep(registry: SeriesRegistry, instanceId: string, restored: Checkpoint | undefined): TotalsKeeper {
  let position = restored;
  let revision = 0;

  const count = (record: DeliveredRecord, from: number): void => {
    if (from >= record.to) return;
    const { envelope, resource, events } = decode(record);
    revision += 1;
    registry.advance(envelope.receivedAt);
    const end = Math.min(record.to, events.length);
    for (let index = from; index < end; index += 1) registry.record(resource.service, events[index]!);
  };

  const applyRecord = (record: DeliveredRecord, journalId: string): void => {
    const { sequence, metrics, to } = record;
    const before = record.count - metrics;
    const known = position?.journalId === journalId ? position : undefined;
    if (known !== undefined && sequence <= known.sequence) return;
    const from = Math.max(record.from, (known?.count ?? 0) - before);
    count(record, from);
    // Kept record by record: a failure further on must not count these again.
    position =
      to >= metrics
        ? { journalId, sequence, count: record.count }
        : { journalId, sequence: sequence - 1, count: Math.max(known?.count ?? 0, before + to) };
  };

  return {
    registry,
    instanceId,
    revision: () => revision,
    checkpoint: () => position,
    apply: (records, checkpoint) => {
      revision += 1;
      for (const record of records) applyRecord(record, checkpoint.journalId);
      if (position?.journalId !== checkpoint.journalId || checkpoint.count >= position.count) position = checkpoint;
    },
    applyLate: (records) => {
      for (const record of records) count(record, record.from);
    },
    encode: () => {
      const stored: StoredTotals = {
        version: VERSION,
        instanceId,
        checkpoint: position,
        registry: storeRegistry(registry),
      };
      return new TextEncoder().encode(JSON.stringify(stored));
    },
  };
}

function decode(record: DeliveredRecord): ReturnType<typeof readRecord> {
  try {
    return readRecord(record);
  } catch (error) {
    throw new Unacceptable(`record ${record.sequence} cannot be decoded: ${(error as Error).message}`);
  }
}
