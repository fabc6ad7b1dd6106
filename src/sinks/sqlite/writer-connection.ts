/** The writer's one connection: opened, watched for what happens to its file, and opened again where that helps. */
import type Database from 'better-sqlite3';
import { Rewind } from '../../core/sink.ts';
import { openForWriting } from './database.ts';
import { type FileGuard, guardFile, restoreFile } from './database-file.ts';
import { type EventWriter, openEventWriter } from './event-writer.ts';
import type { WriterCaps } from './writer-caps.ts';
import { type CleanupSlices, openCleanupSlices } from './cleanup-slices.ts';
import { openRetentionPolicies, type RetentionPoliciesTable } from './retention-table.ts';
import { type ImportTable, openImportTable } from './import-table.ts';
import { type KeysTable, openKeysTable } from './keys-table.ts';

export interface OpenDatabase {
  readonly db: Database.Database;
  readonly guard: FileGuard;
  readonly writer: EventWriter;
  readonly keys: KeysTable;
  readonly policies: RetentionPoliciesTable;
  readonly cleanup: CleanupSlices;
  readonly imports: ImportTable;
}

export interface WriterConnection {
  /** The database, sure to be the file at the path. Throws while it cannot be opened. */
  readonly use: () => OpenDatabase;
  /** The rewind owed to the delivery since the file became another; given once. */
  readonly takeRewind: () => Rewind | undefined;
  /** After an error that the connection itself may suffer from, the next `use` opens anew. */
  readonly doubt: (error: unknown) => void;
  /** Sets other limits for what is written from now on. */
  readonly configure: (caps: WriterCaps) => void;
  readonly close: () => void;
}

type LogLine = (level: 'info' | 'warn' | 'error', fields: object, message: string) => void;

/** Errors that a connection may keep giving although the disk is well again. */
const CONNECTION_ERRORS = /^SQLITE_(IOERR|CANTOPEN|READONLY|CORRUPT|NOTADB|PROTOCOL)/;

export function openConnection(
  path: string,
  caps: WriterCaps,
  log: LogLine,
  onOtherFile: () => void,
): WriterConnection {
  let rewind: Rewind | undefined;
  let doubtful = false;
  let open: OpenDatabase | undefined = openAll();

  function openAll(): OpenDatabase {
    const { db, migrations } = openForWriting(path);
    if (migrations.length > 0) log('info', { path, migrations }, 'database migrated');
    const writer = openEventWriter(db, caps);
    return {
      db,
      guard: guardFile(path),
      writer,
      keys: openKeysTable(db),
      policies: openRetentionPolicies(db),
      cleanup: openCleanupSlices(db),
      imports: openImportTable(db, writer),
    };
  }

  function use(): OpenDatabase {
    if (open === undefined) {
      open = openAll();
      return open;
    }
    const state = open.guard.check();
    if (state === 'same' && !doubtful) return open;
    const { db, guard } = open;
    if (state === 'gone') {
      restoreFile(db, path);
      log('warn', { path }, 'the database file was deleted while in use; it was written back whole');
    } else if (state === 'wal-gone') {
      db.pragma('wal_checkpoint(TRUNCATE)');
      log('warn', { path }, 'the write-ahead log was deleted while in use; its content was taken into the database');
    }
    open = undefined;
    doubtful = false;
    db.close();
    if (state === 'replaced') guard.discardLog();
    open = openAll();
    if (state === 'replaced') {
      const message =
        'the database file was replaced while in use; going on from the checkpoint that the new one holds';
      rewind = new Rewind(message, open.writer.checkpoint());
      log('warn', { path, checkpoint: rewind.checkpoint ?? null }, message);
      onOtherFile();
    }
    return open;
  }

  return {
    use,
    takeRewind: () => {
      const owed = rewind;
      rewind = undefined;
      return owed;
    },
    doubt: (error) => {
      const code = (error as { code?: unknown } | undefined)?.code;
      if (typeof code === 'string' && CONNECTION_ERRORS.test(code)) doubtful = true;
    },
    configure: (next) => {
      caps = next;
      if (open === undefined) return;
      const writer = openEventWriter(open.db, caps);
      open = { ...open, writer, imports: openImportTable(open.db, writer) };
    },
    close: () => {
      open?.db.close();
      open = undefined;
    },
  };
}
