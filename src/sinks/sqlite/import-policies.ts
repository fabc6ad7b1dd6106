/** Takes the retention policies of the replaced service over, each once, where nobody has decided here already. */
import { hash } from 'node:crypto';
import type Database from 'better-sqlite3';
import type { LegacyPolicy } from './legacy-rows.ts';
import {
  defaultRetentionDays,
  isRetentionTable,
  MAX_RETENTION_DAYS,
  MIN_RETENTION_DAYS,
} from './retention-policies.ts';

/** Days of raw tables in the replaced service, where nobody had changed them. */
const LEGACY_RAW_DAYS = 90;
const SOURCE_TABLE = 'retention_policies';

export interface ImportedPolicy extends Omit<LegacyPolicy, 'id'> {
  /** `imported`, or why it was not. */
  readonly outcome: string;
}

/** @returns those that differ from what the replaced service began with, and were not seen by an import before */
export function takePolicies(
  db: Database.Database,
  lineage: number,
  policies: readonly LegacyPolicy[],
  at: number,
): ImportedPolicy[] {
  const note = db.prepare(
    'INSERT INTO import_anchors (lineage, source_table, source_id, digest) VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING',
  );
  const set = db.prepare(
    `INSERT INTO retention_policies (table_name, retention_days, is_active, is_custom, updated_at) VALUES (?, ?, ?, ?, ?)
     ON CONFLICT (table_name) DO UPDATE SET retention_days = excluded.retention_days, is_active = excluded.is_active,
       is_custom = excluded.is_custom, updated_at = excluded.updated_at WHERE NOT is_custom AND is_active`,
  );
  const take = ({ table, retentionDays, isActive }: Omit<LegacyPolicy, 'id'>): string => {
    if (!isRetentionTable(table)) return 'left out: there is no such table here';
    if (!(
      Number.isInteger(retentionDays) &&
      retentionDays >= MIN_RETENTION_DAYS &&
      retentionDays <= MAX_RETENTION_DAYS
    ))
      return `left out: expected ${MIN_RETENTION_DAYS} to ${MAX_RETENTION_DAYS} days`;
    const isCustom = retentionDays !== defaultRetentionDays(table, LEGACY_RAW_DAYS);
    const { changes } = set.run(table, retentionDays, Number(isActive), Number(isCustom), at);
    return changes > 0 ? 'imported' : 'left out: an operator has set it here';
  };
  return db
    .transaction(() => {
      const taken: ImportedPolicy[] = [];
      for (const { id, ...policy } of policies) {
        const { table, retentionDays, isActive } = policy;
        if (isRetentionTable(table) && isActive && retentionDays === defaultRetentionDays(table, LEGACY_RAW_DAYS))
          continue;
        const digest = hash('sha256', JSON.stringify(policy), 'hex');
        if (note.run(lineage, SOURCE_TABLE, id, digest).changes === 0) continue;
        taken.push({ ...policy, outcome: take(policy) });
      }
      return taken;
    })
    .immediate();
}
