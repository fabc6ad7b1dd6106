/**
 * The gateway's database as the main thread sees it: promises in front of the writer's thread. One store per file,
 * shared by the sink, the key store and whoever else opens the same path.
 */
import { resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Checkpoint } from '../../core/journal.ts';
import type { Log } from '../../core/ports.ts';
import type { DeliveredRecord } from '../../core/sink.ts';
import { createPacker } from '../../core/record-transfer.ts';
import { DEFAULT_CAPS, type WriterCaps } from './writer-caps.ts';
import type { StoredKey } from './keys-table.ts';
import { oneAtATime, type OneAtATime } from './one-at-a-time.ts';
import type { ReaderMethods } from './reader-methods.ts';
import { backfill, type BackfillOptions, type BackfillReport } from './backfill.ts';
import { backupDatabase } from './backup.ts';
import { importLegacy, type ImportOptions, type ImportReport } from './import-legacy.ts';
import { createHistory, type History, type Readers } from './history.ts';
import { createRetention, type Retention } from './retention.ts';
import type { RetentionPolicy } from './retention-policies.ts';
import { startWorker, type WorkerClient } from './worker-client.ts';
import type { WriterMethods } from './writer-methods.ts';

export interface StoreOptions {
  readonly log: Log;
  /** Limits of dictionaries and rollups. Who gives some sets them for all that share the file. */
  readonly caps?: Partial<WriterCaps>;
}

export interface Store {
  readonly path: string;
  /**
   * Writes records up to `checkpoint` in one transaction. What is written already is passed over, unless they are `late`:
   * left out when the checkpoint was passed.
   */
  readonly write: (records: readonly DeliveredRecord[], checkpoint: Checkpoint, late?: boolean) => Promise<void>;
  readonly checkpoint: () => Promise<Checkpoint | undefined>;
  readonly keys: KeyCalls;
  readonly retention: Retention;
  readonly history: History;
  /**
   * Starts the thread that answers from rollups, so that the first question does not wait for that. Should it not start,
   * the next question tries again and tells.
   */
  readonly prepareHistory: () => void;
  /** Rebuilds the rollups that lie wholly inside the raw retention; the numbers come out the same. */
  readonly backfill: (options: BackfillOptions) => Promise<BackfillReport>;
  /** Imports the database of the metrics service that this gateway replaces. */
  readonly importLegacy: (path: string, options: ImportOptions) => Promise<ImportReport>;
  /**
   * Copies the database to a new file while it is in use.
   * @returns the copy's size in bytes
   * @throws Error where the file exists already or cannot be written
   */
  readonly backup: (target: string, onProgress?: (done: number, total: number) => void) => Promise<number>;
  /** Gives this opening back; the last one closes the file. */
  readonly close: () => Promise<void>;
}

/** The table of keys from afar. */
export interface KeyCalls {
  readonly list: () => Promise<StoredKey[]>;
  readonly insert: (key: StoredKey) => Promise<void>;
  readonly update: (...args: Parameters<WriterMethods['updateKey']>) => Promise<StoredKey | undefined>;
  readonly revoke: (id: string, at: number) => Promise<StoredKey | undefined>;
  readonly rotate: (...args: Parameters<WriterMethods['rotateKey']>) => Promise<StoredKey[]>;
  readonly syncEnvironment: (
    ...args: Parameters<WriterMethods['syncEnvironmentKeys']>
  ) => Promise<ReturnType<WriterMethods['syncEnvironmentKeys']>>;
  readonly addUse: (...args: Parameters<WriterMethods['addKeyUse']>) => Promise<void>;
  /** Told of every change, by whatever process, before the call that made it resolves. */
  readonly onChange: (listener: KeyListener) => () => void;
}

/** @param all true where `keys` are all there are, rather than those that changed */
export type KeyListener = (keys: readonly StoredKey[], all: boolean) => void;

interface Shared {
  /** What a thread starts with, also one that takes a crashed one's place. */
  readonly settings: { readonly path: string; caps: WriterCaps };
  readonly client: WorkerClient<WriterMethods>;
  readonly closeReaders: () => Promise<unknown>;
  readonly alone: OneAtATime;
  readonly retention: Retention;
  readonly history: History;
  readonly readers: Readers;
  readonly listeners: Set<KeyListener>;
  openings: number;
}

const stores = new Map<string, Promise<Shared>>();

/** How long a database that is locked or busy at start is waited for. */
const OPEN_ATTEMPTS = 3;

/**
 * Opens the file, makes it where it is missing, and migrates it.
 * @throws UnusableDatabase for a file that is no database of ours or of a newer version; Error where it stays locked or cannot be made
 */
export async function openStore(path: string, options: StoreOptions): Promise<Store> {
  const file = resolve(path);
  let opening = stores.get(file);
  if (opening === undefined) {
    opening = openShared(file, options);
    stores.set(file, opening);
    opening.catch(() => stores.delete(file));
  }
  const shared = await opening;
  shared.openings += 1;
  const { client, listeners } = shared;
  const { log } = options;
  if (options.caps !== undefined && Object.keys(options.caps).length > 0) {
    shared.settings.caps = { ...DEFAULT_CAPS, ...options.caps };
    await client.call('configure', [shared.settings.caps]);
  }
  const own = new Set<KeyListener>();
  const packer = createPacker();
  let closed = false;
  return {
    path: file,
    write: async (records, checkpoint, late = false) => {
      const batch = packer.pack(records);
      packer.takeBack(await client.call('write', [batch, checkpoint, late], [batch]));
    },
    checkpoint: () => client.call('checkpoint', []),
    retention: shared.retention,
    history: shared.history,
    prepareHistory: () => {
      shared.readers.rollups().catch(() => undefined);
    },
    backfill: (options) =>
      shared.alone(async () => {
        // A reader of its own: counting a day may take seconds, for which no question shall wait.
        const { reader, closeReader } = openReader(file, log);
        try {
          return await backfill(client, await reader(), options);
        } finally {
          await closeReader();
        }
      }),
    keys: {
      list: () => client.call('listKeys', []),
      insert: (key) => client.call('insertKey', [key]),
      update: (...args) => client.call('updateKey', args),
      revoke: (...args) => client.call('revokeKey', args),
      rotate: (...args) => client.call('rotateKey', args),
      syncEnvironment: (...args) => client.call('syncEnvironmentKeys', args),
      addUse: (...args) => client.call('addKeyUse', args),
      onChange: (listener) => {
        listeners.add(listener);
        own.add(listener);
        return () => listeners.delete(listener);
      },
    },
    importLegacy: (source, importOptions) => importLegacy(client, source, importOptions),
    backup: async (target, onProgress) => backupDatabase(file, target, onProgress),
    close: async () => {
      if (closed) return;
      closed = true;
      for (const listener of own) listeners.delete(listener);
      shared.openings -= 1;
      if (shared.openings > 0) return;
      stores.delete(file);
      await shared.closeReaders();
      await client.close();
    },
  };
}

async function openShared(path: string, { log }: StoreOptions): Promise<Shared> {
  const listeners = new Set<KeyListener>();
  let parts: StoredKey[] = [];
  let policies: readonly RetentionPolicy[] = [];
  const settings = { path, caps: DEFAULT_CAPS };
  const start = (): Promise<WorkerClient<WriterMethods>> =>
    startWorker<WriterMethods>({
      script: 'writer-worker',
      data: settings,
      onMessage: (message) => {
        if (message.kind === 'log') {
          log[message.level](message.fields, message.message);
          return;
        }
        if (message.kind === 'policies') {
          policies = message.policies;
          return;
        }
        parts = parts.concat(message.keys);
        if (message.more) return;
        for (const listener of listeners) listener(parts, message.all);
        parts = [];
      },
      onCrash: (error) =>
        log.error({ error: error.message }, "the database's writer thread crashed; starting it again"),
    });
  for (let attempt = 1; ; attempt += 1) {
    try {
      const client = await start();
      policies = await client.call('listPolicies', []);
      const rollups = openReader(path, log);
      const rows = openReader(path, log);
      const alone = oneAtATime();
      const readers: Readers = { rollups: rollups.reader, rows: rows.reader };
      const retention = createRetention({ writer: client, readers, alone }, () => policies);
      const history = createHistory(readers, () => policies);
      const closeReaders = () => Promise.all([rollups.closeReader(), rows.closeReader()]);
      return { settings, client, listeners, closeReaders, alone, retention, history, readers, openings: 0 };
    } catch (error) {
      const code = (error as { code?: unknown }).code;
      const isLocked = typeof code === 'string' && /^SQLITE_(BUSY|LOCKED)/.test(code);
      if (!isLocked || attempt >= OPEN_ATTEMPTS) {
        if (!isLocked) throw error;
        throw Object.assign(
          new Error(`${path} is locked by another process: fuser ${path} names it`, { cause: error }),
          { code },
        );
      }
      log.debug({ path, attempt }, 'the database is locked by another process; waiting');
      await sleep(200);
    }
  }
}

interface Reader {
  /** Started with the first question. */
  readonly reader: () => Promise<WorkerClient<ReaderMethods>>;
  readonly closeReader: () => Promise<void>;
}

function openReader(path: string, log: Log): Reader {
  let starting: Promise<WorkerClient<ReaderMethods>> | undefined;
  return {
    reader: () => {
      starting ??= startWorker<ReaderMethods>({
        script: 'reader-worker',
        data: { path },
        onMessage: () => undefined,
        onCrash: (error) =>
          log.error({ error: error.message }, "the database's reader thread crashed; starting it again"),
      });
      starting.catch(() => {
        starting = undefined;
      });
      return starting;
    },
    closeReader: async () => {
      const client = await starting?.catch(() => undefined);
      await client?.close();
    },
  };
}
