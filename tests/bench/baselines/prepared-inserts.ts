/**
 * Baseline of the SQLite sink: the same rows by bare prepared inserts into the same schema, indexes and rollups included,
 * with nothing decoded, looked up or counted. The rows are read from a database that the sink has written.
 */
import { rmSync } from 'node:fs';
import Database from 'better-sqlite3';
import { packRecords } from '../../../src/core/record-transfer.ts';
import { openForWriting } from '../../../src/sinks/sqlite/database.ts';
import { openEventWriter } from '../../../src/sinks/sqlite/event-writer.ts';
import { DEFAULT_CAPS } from '../../../src/sinks/sqlite/writer-caps.ts';
import { recordStream } from '../records.ts';

const ROWS_PER_TRANSACTION = 10_000;
const ROLLUPS = ['rollup_hourly', 'rollup_daily'] as const;

export interface Inserting {
  /** One transaction; @returns whether there are more rows */
  readonly next: () => boolean;
  readonly close: () => void;
}

export interface PreparedInserts {
  /** Into the database at `path`, which must have no rows. */
  readonly begin: (path: string) => Inserting;
  /** Inserts all rows; @returns microseconds per metric */
  readonly run: (path: string) => number;
  readonly rows: number;
}

type Row = unknown[];

/** A database with so many recorded metrics as the sink writes them. */
export function writeRows(path: string, metrics: number): void {
  const { db } = openForWriting(path);
  const writer = openEventWriter(db, DEFAULT_CAPS);
  const stream = recordStream({ perRequest: 100, startsAt: Date.now(), stepMs: 0.01 });
  while (stream.checkpoint().count < metrics) writer.write(packRecords(stream.next(10_000)), stream.checkpoint());
  db.close();
}

export function preparedInserts(written: string): PreparedInserts {
  const source = new Database(written, { readonly: true });
  const names = (table: string): string[] =>
    source.prepare<[string], string>('SELECT name FROM pragma_table_info(?)').pluck().all(table);
  const all = (table: string): Row[] => source.prepare<[], Row>(`SELECT * FROM ${table}`).raw().all();
  const tables = {
    events: names('events'),
    rollup_hourly: names('rollup_hourly'),
    rollup_daily: names('rollup_daily'),
  };
  const events = all('events');
  const rollups = ROLLUPS.map((table) => ({ table, rows: all(table) }));
  source.close();

  const begin = (path: string): Inserting => {
    const { db } = openForWriting(path);
    const into = (table: keyof typeof tables): Database.Statement =>
      db.prepare(`INSERT OR REPLACE INTO ${table} VALUES (${tables[table].map(() => '?').join(', ')})`);
    const insert = into('events');
    const upserts = ROLLUPS.map(into);
    const transaction = db.transaction((from: number) => {
      for (let at = from; at < Math.min(events.length, from + ROWS_PER_TRANSACTION); at += 1)
        insert.run(...events[at]!);
      // As many of the newest rows of the rollups as one transaction of the sink touches: those of the running hour and day.
      for (const [at, { rows }] of rollups.entries()) {
        const share = Math.ceil((rows.length * ROWS_PER_TRANSACTION) / events.length);
        const start = Math.floor((rows.length * from) / events.length);
        for (const row of rows.slice(start, start + share)) upserts[at]!.run(...row);
      }
    });
    let from = 0;
    return {
      next: () => {
        transaction.immediate(from);
        from += ROWS_PER_TRANSACTION;
        return from < events.length;
      },
      close: () => db.close(),
    };
  };

  return {
    rows: events.length,
    begin,
    run: (path) => {
      const inserting = begin(path);
      const start = performance.now();
      while (inserting.next());
      const micros = ((performance.now() - start) * 1000) / events.length;
      inserting.close();
      return micros;
    },
  };
}

/** A file that is not needed any longer, with what SQLite keeps beside it. */
export function removeDatabase(path: string): void {
  for (const suffix of ['', '-wal', '-shm']) rmSync(`${path}${suffix}`, { force: true });
}
