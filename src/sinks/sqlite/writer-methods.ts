/** What the writer's thread does on request: the only code that writes to the database file. */
import type Database from 'better-sqlite3';
import type { Checkpoint } from '../../core/journal.ts';
import type { KeyRecord } from '../../core/key-store.ts';
import { Rewind } from '../../core/sink.ts';
import { openForWriting } from './database.ts';
import { type FileGuard, guardFile, restoreFile } from './database-file.ts';
import { type EventWriter, openEventWriter, type WriterCaps } from './event-writer.ts';
import { type KeyChange, type KeysTable, openKeysTable, type StoredKey } from './keys-table.ts';

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

interface Open {
  readonly db: Database.Database;
  readonly guard: FileGuard;
  readonly writer: EventWriter;
  readonly keys: KeysTable;
}

export type WriterMethods = ReturnType<typeof createWriterMethods>;

export function createWriterMethods({ path, caps, restarted }: WriterSettings, events: WriterEvents) {
  let open = openAll();
  let keyGeneration = open.keys.generation();
  let dataVersion = readDataVersion();
  /** Owed to the delivery, whoever noticed that the file is another. */
  let rewind: Rewind | undefined;
  if (restarted) publishAllKeys();

  function openAll(): Open {
    const { db, migrations } = openForWriting(path);
    if (migrations.length > 0) events.log('info', { path, migrations }, 'database migrated');
    return { db, guard: guardFile(path), writer: openEventWriter(db, caps), keys: openKeysTable(db) };
  }

  function readDataVersion(): number {
    return open.db.pragma('data_version', { simple: true }) as number;
  }

  /** Makes sure that what is written now lands in the file at `path`. */
  function ensureFile(): void {
    const state = open.guard.check();
    if (state === 'same') return;
    if (state === 'gone') {
      restoreFile(open.db, path);
      open = openAll();
      events.log('warn', { path }, 'the database file was deleted while in use; it was written back whole');
      return;
    }
    if (state === 'wal-gone') {
      open.db.pragma('wal_checkpoint(TRUNCATE)');
      open.db.close();
      open = openAll();
      events.log(
        'warn',
        { path },
        'the write-ahead log was deleted while in use; nothing was lost, its content is in the database',
      );
      return;
    }
    open.db.close();
    open = openAll();
    publishAllKeys();
    const message = 'the database file was replaced while in use; going on from the checkpoint that the new one holds';
    events.log('warn', { path, checkpoint: open.writer.checkpoint() ?? null }, message);
    rewind = new Rewind(message, open.writer.checkpoint());
  }

  function publishAllKeys(): void {
    keyGeneration = open.keys.generation();
    events.keys(open.keys.list(), true);
  }

  /** Runs a change of keys; the change is published before its caller gets the answer. */
  function changeKeys<T>(work: () => T, changed: (result: T) => readonly StoredKey[]): T {
    ensureFile();
    const before = open.keys.generation();
    const result = work();
    // Changed by another process in between? Then the next poll must see it.
    if (before === keyGeneration) keyGeneration = open.keys.generation();
    events.keys(changed(result), false);
    return result;
  }

  return {
    write: (batch: ArrayBuffer, checkpoint: Checkpoint): { readonly written: number } => {
      ensureFile();
      if (rewind !== undefined) {
        const owed = rewind;
        rewind = undefined;
        throw owed;
      }
      return open.writer.write(batch, checkpoint);
    },
    checkpoint: (): Checkpoint | undefined => open.writer.checkpoint(),

    listKeys: (): StoredKey[] => open.keys.list(),
    insertKey: (key: StoredKey): void =>
      changeKeys(
        () => open.keys.insert(key),
        () => [key],
      ),
    updateKey: (id: string, change: KeyChange): StoredKey | undefined =>
      changeKeys(
        () => open.keys.update(id, change),
        (key) => (key === undefined ? [] : [key]),
      ),
    revokeKey: (id: string, at: number): StoredKey | undefined =>
      changeKeys(
        () => open.keys.revoke(id, at),
        (key) => (key === undefined ? [] : [key]),
      ),
    rotateKey: (
      id: string,
      next: Pick<KeyRecord, 'id' | 'createdAt'> & { readonly sha256: string },
      oldExpiresAt: number,
    ): StoredKey[] =>
      changeKeys(
        () => open.keys.rotate(id, next, oldExpiresAt),
        (keys) => keys,
      ),
    syncEnvironmentKeys: (keys: Parameters<KeysTable['syncEnvironment']>[0], at: number) =>
      changeKeys(
        () => open.keys.syncEnvironment(keys, at),
        ({ changed }) => changed,
      ),
    addKeyUse: (uses: Parameters<KeysTable['addUse']>[0]): void => {
      ensureFile();
      open.keys.addUse(uses);
    },

    /** Looks for changes by other processes; cheap where there are none. */
    poll: (): void => {
      const version = readDataVersion();
      if (version === dataVersion && open.guard.check() === 'same') return;
      ensureFile();
      dataVersion = readDataVersion();
      if (open.keys.generation() !== keyGeneration) publishAllKeys();
    },
    close: (): void => {
      open.db.close();
    },
  };
}
