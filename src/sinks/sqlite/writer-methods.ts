/** What the writer's thread does on request: the only code that writes to the database file. */
import type { Checkpoint } from '../../core/journal.ts';
import type { KeyChange, KeyRecord } from '../../core/key-store.ts';
import type { DictionaryTable } from './cleanup-slices.ts';
import { limitLog, LOG_PAGES, SHORT_LOG_PAGES } from './database.ts';
import { readPart } from './rebuild-day.ts';
import type { RetentionPolicy, RetentionTable } from './retention-policies.ts';
import type { PolicyChange } from './retention-table.ts';
import type { WriterCaps } from './writer-caps.ts';
import type { RollupCaps } from './rollup-writer.ts';
import { type ImportedPolicy, takePolicies } from './import-policies.ts';
import type { ImportTable, StoredAnchor } from './import-table.ts';
import type { KeysTable, StoredKey } from './keys-table.ts';
import type { LegacyPolicy } from './legacy-rows.ts';
import { openConnection, type OpenDatabase } from './writer-connection.ts';

export interface WriterSettings {
  readonly path: string;
  readonly caps: WriterCaps;
  /** A thread before this one died: changes of keys may have gone unseen meanwhile. */
  readonly restarted: boolean;
}

/** What the writer tells on its own. */
export interface WriterEvents {
  readonly log: (level: 'info' | 'warn' | 'error', fields: object, message: string) => void;
  /** The policies as they are now, whoever changed them. */
  readonly policies: (policies: readonly RetentionPolicy[]) => void;
  /** Keys changed: these, or with `all` these are all there are. */
  readonly keys: (keys: readonly StoredKey[], all: boolean) => void;
}

/** A result with the time for which its making held the writer. */
export type Held<T> = T & { readonly heldMs: number };

/** Counting a day for the backfill, between two of its slices, takes a second or two. */
const SLICES_END_AFTER_MS = 10_000;

export type WriterMethods = ReturnType<typeof createWriterMethods>;

export function createWriterMethods({ path, caps: initialCaps, restarted }: WriterSettings, events: WriterEvents) {
  let caps = initialCaps;
  const connection = openConnection(path, caps, events.log, () => publishAllKeys());
  const { use } = connection;
  let keyGeneration = use().keys.generation();
  let dataVersion = readDataVersion();
  let publishedPolicies = JSON.stringify(use().policies.list());
  if (restarted) publishAllKeys();

  function readDataVersion(): number {
    return use().db.pragma('data_version', { simple: true }) as number;
  }

  function publishAllKeys(): void {
    const { keys } = use();
    keyGeneration = keys.generation();
    events.keys(keys.list(), true);
  }

  function publishPolicies(policies: RetentionPolicy[]): RetentionPolicy[] {
    publishedPolicies = JSON.stringify(policies);
    events.policies(policies);
    return policies;
  }

  /** Runs a change of keys; the change is published before its caller gets the answer. */
  function changeKeys<T>(work: (keys: KeysTable) => T, changed: (result: T) => readonly StoredKey[]): T {
    const { keys, db } = use();
    const before = keys.generation();
    const result = work(keys);
    // Unlike metrics, keys come from nowhere again: they shall not hang on the log alone, should that be damaged.
    db.pragma('wal_checkpoint(PASSIVE)');
    // Changed by another process in between? Then the next poll must see it.
    if (before === keyGeneration) keyGeneration = keys.generation();
    events.keys(changed(result), false);
    return result;
  }
  /** When a slice ran last; Infinity: the log may grow. */
  let lastSliceAt = Number.POSITIVE_INFINITY;
  /**
   * Runs a slice of long work, and says for how long it held the writer. From here to the end of the work the log stays short:
   * also the batches between slices take their own pages out of it, as else the next slice would.
   */
  function held<T extends object>(work: (open: OpenDatabase) => T): Held<T> {
    const from = performance.now();
    const open = use();
    lastSliceAt = from;
    limitLog(open.db, SHORT_LOG_PAGES);
    const result = work(open);
    return { ...result, heldMs: performance.now() - from };
  }
  /** Lets the log grow again once no slice has come for longer than a slice takes to be made. */
  function endSlices(): void {
    if (performance.now() - lastSliceAt < SLICES_END_AFTER_MS) return;
    lastSliceAt = Number.POSITIVE_INFINITY;
    limitLog(use().db, LOG_PAGES);
  }
  const asList = (key: StoredKey | undefined): StoredKey[] => (key === undefined ? [] : [key]);

  return {
    /** @returns the batch's memory, for the next one */
    write: (batch: ArrayBuffer, checkpoint: Checkpoint, late = false): ArrayBuffer => {
      const { writer } = use();
      const rewind = connection.takeRewind();
      if (rewind !== undefined) throw rewind;
      try {
        writer.write(batch, checkpoint, late);
        return batch;
      } catch (error) {
        connection.doubt(error);
        // At once: in an outage, a collector would come for them when many more have gathered.
        batch.transfer(0);
        throw error;
      }
    },
    checkpoint: (): Checkpoint | undefined => use().writer.checkpoint(),

    listKeys: (): StoredKey[] => use().keys.list(),
    insertKey: (key: StoredKey): void =>
      changeKeys(
        (keys) => keys.insert(key),
        () => [key],
      ),
    updateKey: (id: string, change: KeyChange): StoredKey | undefined =>
      changeKeys((keys) => keys.update(id, change), asList),
    revokeKey: (id: string, at: number): StoredKey | undefined => changeKeys((keys) => keys.revoke(id, at), asList),
    rotateKey: (
      id: string,
      next: Pick<KeyRecord, 'id' | 'createdAt'> & { readonly sha256: string },
      oldExpiresAt: number,
    ): StoredKey[] =>
      changeKeys(
        (keys) => keys.rotate(id, next, oldExpiresAt),
        (changed) => changed,
      ),
    syncEnvironmentKeys: (wanted: Parameters<KeysTable['syncEnvironment']>[0], at: number) =>
      changeKeys(
        (keys) => keys.syncEnvironment(wanted, at),
        ({ changed }) => changed,
      ),
    addKeyUse: (uses: Parameters<KeysTable['addUse']>[0]): void => use().keys.addUse(uses),

    listPolicies: (): RetentionPolicy[] => use().policies.list(),
    applyDefaultPolicies: (rawDays: number, at: number): RetentionPolicy[] =>
      publishPolicies(use().policies.applyDefaults(rawDays, at)),
    updatePolicy: (table: RetentionTable, change: PolicyChange, at: number): RetentionPolicy[] =>
      publishPolicies(use().policies.update(table, change, at)),

    deleteEvents: (cutoff: number) => held(({ cleanup }) => cleanup.deleteEvents(cutoff)),
    deleteEventsOfType: (type: number, cutoff: number, cursor: number) =>
      held(({ cleanup }) => cleanup.deleteEventsOfType(type, cutoff, cursor)),
    deleteRollups: (table: 'rollup_hourly' | 'rollup_daily', cutoff: number) =>
      held(({ writer, cleanup }) => writer.exclusively('rollups', () => cleanup.deleteRollups(table, cutoff))),
    deleteUnused: (table: DictionaryTable, cutoff: number, cursor: number) =>
      held(({ writer, cleanup }) => {
        const { ids, done, cursor: next } = cleanup.findUnused(table, cutoff, cursor);
        if (ids.length > 0) writer.exclusively('all', () => cleanup.deleteRows(table, ids));
        return { deleted: ids.length, done, cursor: next };
      }),
    importAnchors: (): StoredAnchor[] => use().imports.anchors(),
    importEvents: (...args: Parameters<ImportTable['take']>): void => use().imports.take(...args),
    importKeys: (...args: Parameters<ImportTable['takeKeys']>): number => {
      const taken = use().imports.takeKeys(...args);
      publishAllKeys();
      return taken;
    },
    importPolicies: (lineage: number, policies: readonly LegacyPolicy[], at: number): ImportedPolicy[] => {
      const taken = takePolicies(use().db, lineage, policies, at);
      publishPolicies(use().policies.list());
      return taken;
    },
    configure: (next: WriterCaps): void => {
      caps = next;
      connection.configure(next);
    },
    rollupCaps: (): RollupCaps => caps,
    replaceRollups: (part: Uint8Array, seenId: number) =>
      held(({ writer }) => {
        writer.replaceRollups(readPart(part), seenId);
        return {};
      }),
    shrink: () => held(({ cleanup }) => cleanup.shrink()),

    /** Looks for changes by other processes; cheap where there are none. */
    poll: (): void => {
      endSlices();
      const version = readDataVersion();
      if (version === dataVersion) return;
      dataVersion = version;
      const { keys, policies } = use();
      if (keys.generation() !== keyGeneration) publishAllKeys();
      const now = policies.list();
      if (JSON.stringify(now) !== publishedPolicies) publishPolicies(now);
    },
    close: (): void => connection.close(),
  };
}
