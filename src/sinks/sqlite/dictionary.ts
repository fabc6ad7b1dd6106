/** A dictionary table with its cache: content → id. Rows beyond the caps are private to one event. */
import { hash } from 'node:crypto';
import type Database from 'better-sqlite3';

type Value = string | number | null;

export interface DictionarySpec {
  readonly table: string;
  /** Without id and key, in the order in which values are given. */
  readonly columns: readonly string[];
  /** Shared rows at most. */
  readonly maxRows: number;
  /** Columns whose distinct values count against `maxValues`; their texts may be `maxLength` long. */
  readonly bounded: readonly string[];
  readonly maxValues: number;
  readonly maxLength: number;
}

export interface DictionaryEntry {
  readonly id: number;
  /** True for a row of one event, which is deleted with it. */
  readonly private: boolean;
}

export interface Dictionary {
  /**
   * The id of the row with this content; makes the row where it is missing.
   * @param key unambiguous text of the content
   * @param values called only where the row is not known yet
   */
  readonly entry: (key: string, values: () => readonly Value[]) => DictionaryEntry;
  /** Like `entry`, but gives undefined instead of making a private row, and where `values` gives undefined. */
  readonly shared: (key: string, values: () => readonly Value[] | undefined) => DictionaryEntry | undefined;
  /** Forgets what it knows: after a rollback, or when rows were removed. */
  readonly reset: () => void;
}

/** 128 bits: no emitter can find two contents with one key. */
const keyOf = (content: string): Buffer => hash('sha256', content, 'buffer').subarray(0, 16);

export function openDictionary(db: Database.Database, spec: DictionarySpec): Dictionary {
  const { table, columns } = spec;
  const find = db.prepare<[Buffer], number>(`SELECT id FROM ${table} WHERE key = ?`).pluck();
  const insert = db.prepare(
    `INSERT INTO ${table} (key, ${columns.join(', ')}) VALUES (?, ${columns.map(() => '?').join(', ')})`,
  );
  const bounded = spec.bounded.map((column) => ({
    at: columns.indexOf(column),
    known: db.prepare<[], Value>(`SELECT DISTINCT ${column} FROM ${table} WHERE key IS NOT NULL`).pluck(),
    values: new Set<Value>(),
  }));
  const countRows = db.prepare<[], number>(`SELECT count(*) FROM ${table} WHERE key IS NOT NULL`).pluck();
  const cache = new Map<string, DictionaryEntry>();
  let rows = 0;
  reset();

  function reset(): void {
    cache.clear();
    rows = countRows.get() ?? 0;
    for (const column of bounded) column.values = new Set(column.known.all());
  }

  /** Whether a new row may be shared; then its values count as known. */
  function admit(values: readonly Value[]): boolean {
    if (rows >= spec.maxRows) return false;
    for (const { at, values: known } of bounded) {
      const value = values[at] ?? null;
      if (value === null || known.has(value)) continue;
      if (known.size >= spec.maxValues || (typeof value === 'string' && value.length > spec.maxLength)) return false;
    }
    for (const { at, values: known } of bounded) {
      const value = values[at] ?? null;
      if (value !== null) known.add(value);
    }
    rows += 1;
    return true;
  }

  function shared(key: string, values: () => readonly Value[] | undefined): DictionaryEntry | undefined {
    const cached = cache.get(key);
    if (cached !== undefined) return cached;
    const digest = keyOf(key);
    let id = find.get(digest);
    if (id === undefined) {
      const content = values();
      if (content === undefined || !admit(content)) return undefined;
      id = Number(insert.run(digest, ...content).lastInsertRowid);
    }
    const entry = { id, private: false };
    cache.set(key, entry);
    return entry;
  }

  return {
    shared,
    entry: (key, values) =>
      shared(key, values) ?? { id: Number(insert.run(null, ...values()).lastInsertRowid), private: true },
    reset,
  };
}
