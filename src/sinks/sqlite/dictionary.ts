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
  /** True for a row that serves a single event. */
  readonly private: boolean;
  /** No event of this row is later. */
  lastSeen: number;
}

const DAY_MS = 86_400_000;

export interface Dictionary {
  /**
   * The id of the row with this content; makes the row where it is missing.
   * @param key unambiguous text of the content
   * @param timestamp of the event that will refer to the row
   * @param values called only where the row is not known yet
   */
  readonly entry: (key: string, timestamp: number, values: () => readonly Value[]) => DictionaryEntry;
  /** Like `entry`, but gives undefined instead of making a private row, and where `values` gives undefined. */
  readonly shared: (
    key: string,
    timestamp: number,
    values: () => readonly Value[] | undefined,
  ) => DictionaryEntry | undefined;
  /** Notes that an event refers to a row that `entry` or `shared` gave since the last reset; gives the row back. */
  readonly use: (entry: DictionaryEntry, timestamp: number) => DictionaryEntry;
  /** Writes how far rows are in use; call inside the transaction. */
  readonly flush: () => void;
  /** Forgets what it knows: after a rollback, or when rows were removed. */
  readonly reset: () => void;
}

/** 128 bits: no emitter can find two contents with one key. */
const keyOf = (content: string): Buffer => hash('sha256', content, 'buffer').subarray(0, 16);

export function openDictionary(db: Database.Database, spec: DictionarySpec): Dictionary {
  const { table, columns } = spec;
  const find = db.prepare<[Buffer], { id: number; last_seen: number }>(
    `SELECT id, last_seen FROM ${table} WHERE key = ?`,
  );
  const insert = db.prepare(
    `INSERT INTO ${table} (key, last_seen, ${columns.join(', ')}) VALUES (?, ?, ${columns.map(() => '?').join(', ')})`,
  );
  const touch = db.prepare(`UPDATE ${table} SET last_seen = max(last_seen, ?) WHERE id = ?`);
  const bounded = spec.bounded.map((column) => ({
    at: columns.indexOf(column),
    known: db.prepare<[], Value>(`SELECT DISTINCT ${column} FROM ${table} WHERE key IS NOT NULL`).pluck(),
    values: new Set<Value>(),
  }));
  const countRows = db.prepare<[], number>(`SELECT count(*) FROM ${table} WHERE key IS NOT NULL`).pluck();
  const cache = new Map<string, DictionaryEntry>();
  let touched: DictionaryEntry[] = [];
  let rows = 0;
  reset();

  function reset(): void {
    cache.clear();
    touched = [];
    rows = Number.isFinite(spec.maxRows) ? (countRows.get() ?? 0) : 0;
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

  function seen(entry: DictionaryEntry, timestamp: number): DictionaryEntry {
    if (timestamp > entry.lastSeen) {
      entry.lastSeen = endOfDay(timestamp);
      touched.push(entry);
    }
    return entry;
  }

  function insertRow(key: Buffer | null, timestamp: number, values: readonly Value[]): DictionaryEntry {
    const lastSeen = endOfDay(timestamp);
    const id = Number(insert.run(key, lastSeen, ...values).lastInsertRowid);
    return { id, private: key === null, lastSeen };
  }

  function shared(
    key: string,
    timestamp: number,
    values: () => readonly Value[] | undefined,
  ): DictionaryEntry | undefined {
    const cached = cache.get(key);
    if (cached !== undefined) return seen(cached, timestamp);
    const digest = keyOf(key);
    const row = find.get(digest);
    let entry: DictionaryEntry;
    if (row === undefined) {
      const content = values();
      if (content === undefined || !admit(content)) return undefined;
      entry = insertRow(digest, timestamp, content);
    } else entry = seen({ id: row.id, private: false, lastSeen: row.last_seen }, timestamp);
    cache.set(key, entry);
    return entry;
  }

  return {
    shared,
    use: seen,
    entry: (key, timestamp, values) => shared(key, timestamp, values) ?? insertRow(null, timestamp, values()),
    flush: () => {
      for (const { id, lastSeen } of touched) touch.run(lastSeen, id);
      touched = [];
    },
    reset,
  };
}

const endOfDay = (timestamp: number): number => (Math.floor(timestamp / DAY_MS) + 1) * DAY_MS - 1;
