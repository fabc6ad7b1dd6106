/** Retention as the gateway and its operators use it: policies, preview, cleanup, statistics. Calls cross to the database's threads. */
import type { MetricType } from '../../core/metric.ts';
import { type CleanupOptions, type CleanupReport, runCleanup } from './cleanup.ts';
import type { Readers } from './history.ts';
import type { OneAtATime } from './one-at-a-time.ts';
import type { ReaderMethods } from './reader-methods.ts';
import {
  cutoffsOf,
  daysOf,
  effectiveDays,
  MAX_RETENTION_DAYS,
  MIN_RETENTION_DAYS,
  RETENTION_TABLES,
  type RetentionPolicy,
  type RetentionTable,
  tableCutoff,
} from './retention-policies.ts';
import type { PolicyChange } from './retention-table.ts';
import { rangeOf } from './table-stats.ts';
import type { WorkerClient } from './worker-client.ts';
import type { WriterMethods } from './writer-methods.ts';

/** What the thread-crossing calls need of a store. */
export interface RetentionBackend {
  readonly writer: WorkerClient<WriterMethods>;
  readonly readers: Readers;
  /** Keeps cleanups from each other, and from what relies on no row going meanwhile. */
  readonly alone: OneAtATime;
}

/** Asked for something that a policy may not say; the message names the field and what it may be. */
export class InvalidPolicy extends Error {
  override readonly name = 'InvalidPolicy';
}

export interface TablePreview {
  readonly retention_days: number;
  readonly records_to_delete: number;
  readonly total_records: number;
  readonly oldest_record_to_delete: string | null;
  readonly newest_record_to_delete: string | null;
  /** Null where no active policy reaches the table. */
  readonly cutoff_date: string | null;
  readonly percentage_to_delete: number;
}

export interface TableStats {
  readonly record_count: number;
  readonly oldest_record: string | null;
  readonly newest_record: string | null;
  readonly has_retention_policy: boolean;
  readonly retention_days: number;
  readonly policy_active: boolean;
}

export interface Retention {
  /** Makes sure that each table has a policy: those that no operator has changed take `rawDays` (rollups: 365 and 1,095). */
  readonly applyDefaults: (rawDays: number, now: number) => Promise<readonly RetentionPolicy[]>;
  readonly policies: () => Promise<readonly RetentionPolicy[]>;
  /** @throws InvalidPolicy */
  readonly update: (table: RetentionTable, change: PolicyChange, now: number) => Promise<RetentionPolicy>;
  /** The days for which events of a type are kept, from memory; Infinity without an active policy. */
  readonly keptDays: (type: MetricType) => number;
  readonly preview: (now: number, table?: RetentionTable) => Promise<Partial<Record<RetentionTable, TablePreview>>>;
  readonly cleanup: (options: CleanupOptions) => Promise<CleanupReport>;
  readonly stats: () => Promise<Record<RetentionTable, TableStats>>;
  readonly size: () => Promise<ReturnType<ReaderMethods['size']>>;
}

const timeOf = (timestamp: number | null | undefined): string | null =>
  timestamp === null || timestamp === undefined ? null : new Date(timestamp).toISOString();

/** @param known the policies as last heard of, kept current by the store */
export function createRetention(
  { writer, readers, alone }: RetentionBackend,
  known: () => readonly RetentionPolicy[],
): Retention {
  // From a reader: the writer may have a batch of many metrics under way, which takes longer than an answer should.
  // But the writer puts a database back that was deleted.
  const policiesNow = async (): Promise<RetentionPolicy[]> => {
    const reader = await readers.rollups();
    return reader.call('policies', []).catch(() => writer.call('listPolicies', []));
  };

  const preview: Retention['preview'] = async (now, only) => {
    const policies = await policiesNow();
    const [rollups, rows] = await Promise.all([readers.rollups(), readers.rows()]);
    const [before, all] = await Promise.all([
      rows.call('rowsBefore', [cutoffsOf(policies, now)]),
      rollups.call('eventStats', []),
    ]);
    const result: Partial<Record<RetentionTable, TablePreview>> = {};
    for (const table of RETENTION_TABLES) {
      if (only !== undefined && only !== table) continue;
      const due = rangeOf(before, table);
      const total = rangeOf(all, table).rows;
      result[table] = {
        retention_days: daysOf(policies, table),
        records_to_delete: due.rows,
        total_records: total,
        oldest_record_to_delete: timeOf(due.oldest),
        newest_record_to_delete: timeOf(due.newest),
        cutoff_date: timeOf(tableCutoff(policies, table, now)),
        percentage_to_delete: total === 0 ? 0 : Math.round((due.rows / total) * 10_000) / 100,
      };
    }
    return result;
  };

  return {
    applyDefaults: (rawDays, now) => writer.call('applyDefaultPolicies', [rawDays, now]),
    policies: policiesNow,
    update: async (table, change, now) => {
      const { retentionDays } = change;
      if (
        retentionDays !== undefined &&
        !(Number.isInteger(retentionDays) && retentionDays >= MIN_RETENTION_DAYS && retentionDays <= MAX_RETENTION_DAYS)
      ) {
        throw new InvalidPolicy(
          `retention_days: expected a whole number from ${MIN_RETENTION_DAYS} to ${MAX_RETENTION_DAYS}; to keep rows for ever, set is_active to false`,
        );
      }
      const policies = await writer.call('updatePolicy', [table, change, now]);
      const policy = policies.find((each) => each.table === table);
      if (policy === undefined) throw new InvalidPolicy(`${table} has no policy; start the gateway once to make them`);
      return policy;
    },
    keptDays: (type) => effectiveDays(known(), type) ?? Number.POSITIVE_INFINITY,
    preview,
    cleanup: (options) => {
      const run = (): Promise<CleanupReport> => runCleanup({ writer, preview }, options);
      // One that only counts need not wait.
      return options.dryRun === true ? run() : alone(run);
    },
    stats: async () => {
      const policies = await policiesNow();
      const all = await (await readers.rollups()).call('eventStats', []);
      return Object.fromEntries(
        RETENTION_TABLES.map((table) => {
          const { rows, oldest, newest } = rangeOf(all, table);
          const policy = policies.find((each) => each.table === table);
          return [
            table,
            {
              record_count: rows,
              oldest_record: timeOf(oldest),
              newest_record: timeOf(newest),
              has_retention_policy: policy !== undefined,
              retention_days: daysOf(policies, table),
              policy_active: policy?.isActive ?? false,
            },
          ];
        }),
      ) as Record<RetentionTable, TableStats>;
    },
    size: async () => (await readers.rollups()).call('size', []),
  };
}
