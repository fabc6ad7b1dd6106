/** The stored retention policies: read by whoever has the database open, changed by the writer's thread. */
import type Database from 'better-sqlite3';
import {
  defaultRetentionDays,
  RETENTION_TABLES,
  type RetentionPolicy,
  type RetentionTable,
} from './retention-policies.ts';

export interface PolicyChange {
  readonly retentionDays?: number;
  readonly isActive?: boolean;
}

export interface RetentionPoliciesTable {
  readonly list: () => RetentionPolicy[];
  /** Policies that no operator has changed take the defaults; the others stay as they are. */
  readonly applyDefaults: (rawDays: number, at: number) => RetentionPolicy[];
  readonly update: (table: RetentionTable, change: PolicyChange, at: number) => RetentionPolicy[];
}

interface Row {
  readonly table_name: RetentionTable;
  readonly retention_days: number;
  readonly is_active: number;
}

/** The policies as any connection sees them, in the order of RETENTION_TABLES. */
export function readPolicies(db: Database.Database): RetentionPolicy[] {
  const select = db.prepare<[], Row>('SELECT table_name, retention_days, is_active FROM retention_policies');
  const rows = new Map(select.all().map((row) => [row.table_name, row]));
  return RETENTION_TABLES.flatMap((table) => {
    const row = rows.get(table);
    return row === undefined ? [] : [{ table, retentionDays: row.retention_days, isActive: row.is_active === 1 }];
  });
}

export function openRetentionPolicies(db: Database.Database): RetentionPoliciesTable {
  const setDefault = db.prepare(
    `INSERT INTO retention_policies (table_name, retention_days, is_active, is_custom, updated_at) VALUES (?, ?, 1, 0, ?)
     ON CONFLICT (table_name) DO UPDATE SET retention_days = excluded.retention_days, updated_at = excluded.updated_at
       WHERE NOT is_custom AND retention_days <> excluded.retention_days`,
  );
  const change = db.prepare(
    `UPDATE retention_policies SET retention_days = coalesce(?, retention_days), is_active = coalesce(?, is_active),
       is_custom = is_custom OR ? IS NOT NULL, updated_at = ? WHERE table_name = ?`,
  );
  const list = (): RetentionPolicy[] => readPolicies(db);
  return {
    list,
    applyDefaults: db.transaction((rawDays: number, at: number) => {
      for (const table of RETENTION_TABLES) setDefault.run(table, defaultRetentionDays(table, rawDays), at);
      return list();
    }).immediate,
    update: db.transaction((table: RetentionTable, { retentionDays, isActive }: PolicyChange, at: number) => {
      const days = retentionDays ?? null;
      change.run(days, isActive === undefined ? null : Number(isActive), days, at, table);
      return list();
    }).immediate,
  };
}
