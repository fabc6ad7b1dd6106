/** What the writer's thread does on request: the only code that writes to the database file. */
import type { Checkpoint } from '../../core/journal.ts';
import type { KeyRecord } from '../../core/key-store.ts';
import type { WriterCaps } from './event-writer.ts';
import type { KeyChange, KeysTable, StoredKey } from './keys-table.ts';
import { openConnection } from './writer-connection.ts';

export interface WriterSettings {
  readonly path: string;
  readonly caps: WriterCaps;
  /** A thread before this one died: changes of keys may have gone unseen meanwhile. */
  readonly restarted: boolean;
}

/** What the writer tells on its own. */
export interface WriterEvents {
  readonly log: (level: 'info' | 'warn' | 'error', fields: object, message: string) => void;
  /** Keys changed: these, or with `all` these are all there are. */
  readonly keys: (keys: readonly StoredKey[], all: boolean) => void;
}

export type WriterMethods = ReturnType<typeof createWriterMethods>;

export function createWriterMethods({ path, caps, restarted }: WriterSettings, events: WriterEvents) {
  const connection = openConnection(path, caps, events.log, () => publishAllKeys());
  const { use } = connection;
  let keyGeneration = use().keys.generation();
  let dataVersion = readDataVersion();
  if (restarted) publishAllKeys();

  function readDataVersion(): number {
    return use().db.pragma('data_version', { simple: true }) as number;
  }

  function publishAllKeys(): void {
    const { keys } = use();
    keyGeneration = keys.generation();
    events.keys(keys.list(), true);
  }

  /** Runs a change of keys; the change is published before its caller gets the answer. */
  function changeKeys<T>(work: (keys: KeysTable) => T, changed: (result: T) => readonly StoredKey[]): T {
    const { keys } = use();
    const before = keys.generation();
    const result = work(keys);
    // Changed by another process in between? Then the next poll must see it.
    if (before === keyGeneration) keyGeneration = keys.generation();
    events.keys(changed(result), false);
    return result;
  }
  const asList = (key: StoredKey | undefined): StoredKey[] => (key === undefined ? [] : [key]);

  return {
    write: (batch: ArrayBuffer, checkpoint: Checkpoint): { readonly written: number } => {
      const { writer } = use();
      const rewind = connection.takeRewind();
      if (rewind !== undefined) throw rewind;
      try {
        return writer.write(batch, checkpoint);
      } catch (error) {
        connection.doubt(error);
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

    /** Looks for changes by other processes; cheap where there are none. */
    poll: (): void => {
      const version = readDataVersion();
      if (version === dataVersion) return;
      dataVersion = version;
      if (use().keys.generation() !== keyGeneration) publishAllKeys();
    },
    close: (): void => connection.close(),
  };
}
