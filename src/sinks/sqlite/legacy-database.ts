/**
 * Reads the database of the metrics service that this gateway replaces. A typed row (auth_metrics …) and the `metrics`
 * row that it was written with become one event; a typed row without one becomes an event of its own.
 */
import { hash } from 'node:crypto';
import Database from 'better-sqlite3';
import { pair, TYPED } from './legacy-pairs.ts';
import {
  type LegacyEvent,
  type LegacyKey,
  type LegacyPolicy,
  readKey,
  readPolicy,
  readRow,
  type Row,
} from './legacy-rows.ts';
import { UnusableDatabase } from './errors.ts';

/** Where an import has come to in one table of the source. */
export interface ImportAnchor {
  readonly sourceTable: string;
  readonly sourceId: number;
  /** SHA-256 of that row, so that the same source is known again. */
  readonly digest: string;
}

export interface LegacySlice {
  readonly events: readonly LegacyEvent[];
  /** Rows that are no events, with why. */
  readonly skipped: readonly { readonly row: string; readonly reason: string }[];
  /** Rows that became events without their dimensions or metadata, with why. */
  readonly incomplete: readonly { readonly row: string; readonly reason: string }[];
  readonly anchor: ImportAnchor | undefined;
  /** Rows of the source that this slice covers. */
  readonly rows: number;
}

export interface LegacyDatabase {
  /** The source's tables in the order of import, with the rows that each has to give. */
  readonly tables: () => { readonly table: string; readonly rows: number }[];
  /** How many of a table's rows an import that has come to `throughId` is done with. */
  readonly rowsThrough: (table: string, throughId: number) => number;
  /** Whether the row that an anchor names is this source's. */
  readonly knows: (anchor: ImportAnchor) => boolean;
  /** The next rows of a table, after `afterId`; without rows it is at its end. */
  readonly next: (table: string, afterId: number, limit: number) => LegacySlice;
  readonly keys: () => LegacyKey[];
  /** None where the file was never migrated by hand to have them. */
  readonly policies: () => LegacyPolicy[];
  readonly close: () => void;
}

/** @throws UnusableDatabase for a file that is no such database */
export function openLegacyDatabase(path: string): LegacyDatabase {
  let db: Database.Database;
  try {
    db = new Database(path, { readonly: true, fileMustExist: true });
  } catch (error) {
    throw new UnusableDatabase(`${path} cannot be opened: ${error instanceof Error ? error.message : String(error)}`);
  }
  const names = readTables(db, path);
  const typed = Object.keys(TYPED).filter((table) => names.has(table));
  pair(db, typed);
  const digestOf = (row: Row): string => hash('sha256', JSON.stringify(row), 'hex');
  const partner = db.prepare<[number], { kind: string; typed_id: number }>(
    'SELECT kind, typed_id FROM temp.pairs WHERE metric_id = ?',
  );

  /** The rows that a table has to give: of a typed one those that no `metrics` row was written with. */
  const rowsOf = (table: string): string =>
    table === 'metrics'
      ? 'FROM metrics WHERE true'
      : `FROM ${table} WHERE id NOT IN (SELECT typed_id FROM temp.pairs WHERE kind = '${table}')`;

  return {
    tables: () =>
      ['metrics', ...typed].map((table) => ({ table, rows: countOf(db, `SELECT count(*) ${rowsOf(table)}`) })),
    rowsThrough: (table, throughId) => countOf(db, `SELECT count(*) ${rowsOf(table)} AND id <= ${throughId}`),
    knows: ({ sourceTable, sourceId, digest }) => {
      if (sourceTable !== 'metrics' && !typed.includes(sourceTable)) return false;
      const row = db.prepare<[number], Row>(`SELECT * FROM ${sourceTable} WHERE id = ?`).get(sourceId);
      return row !== undefined && digestOf(row) === digest;
    },
    next: (table, afterId, limit) => {
      const rows = db
        .prepare<[number, number], Row>(`SELECT * ${rowsOf(table)} AND id > ? ORDER BY id LIMIT ?`)
        .all(afterId, limit);
      const events: LegacyEvent[] = [];
      const skipped: { row: string; reason: string }[] = [];
      const incomplete: { row: string; reason: string }[] = [];
      for (const row of rows) {
        let extra: Row = row;
        if (table === 'metrics') {
          const found = partner.get(Number(row['id']));
          extra =
            found === undefined
              ? {}
              : (db.prepare<[number], Row>(`SELECT * FROM ${found.kind} WHERE id = ?`).get(found.typed_id) ?? {});
        }
        const read = readRow(row, extra, TYPED[table]);
        const name = `${table} ${String(row['id'])}`;
        if (typeof read === 'string') {
          skipped.push({ row: name, reason: read });
          continue;
        }
        events.push(read.event);
        if (read.unreadable.length > 0) incomplete.push({ row: name, reason: read.unreadable.join(', ') });
      }
      const last = rows.at(-1);
      return {
        events,
        skipped,
        incomplete,
        rows: rows.length,
        anchor:
          last === undefined ? undefined : { sourceTable: table, sourceId: Number(last['id']), digest: digestOf(last) },
      };
    },
    keys: () =>
      names.has('api_keys') ? db.prepare<[], Row>('SELECT * FROM api_keys ORDER BY id').all().map(readKey) : [],
    policies: () =>
      names.has('retention_policies')
        ? db.prepare<[], Row>('SELECT * FROM retention_policies ORDER BY id').all().map(readPolicy)
        : [],
    close: () => db.close(),
  };
}

function readTables(db: Database.Database, path: string): Set<string> {
  try {
    const names = new Set(db.prepare<[], string>("SELECT name FROM sqlite_schema WHERE type = 'table'").pluck().all());
    if (names.has('metrics') && !names.has('__drizzle_migrations')) return names;
  } catch {
    // Not a database at all: said below.
  }
  db.close();
  throw new UnusableDatabase(
    `${path} is not a database of the metrics service that this gateway replaces: it has no table "metrics" of that form`,
  );
}

const countOf = (db: Database.Database, sql: string): number => db.prepare<[], number>(sql).pluck().get() ?? 0;
