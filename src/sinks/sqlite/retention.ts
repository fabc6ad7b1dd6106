/** Retention as the gateway and its operators use it: policies, preview, cleanup, statistics. Calls cross to the database's threads. */
import { METRIC_TYPES, type MetricType } from '../../core/metric.ts';
import { typeNumber } from './columns.ts';
import type { DictionaryTable, EventSlice } from './cleanup-slices.ts';
import type { ReaderMethods } from './reader-methods.ts';
import {
  cutoffOf,
  DAY_MS,
  effectiveDays,
  MAX_RETENTION_DAYS,
  MIN_RETENTION_DAYS,
  RETENTION_TABLES,
  type RetentionPolicy,
  type RetentionTable,
  rollupCutoff,
  typesOf,
} from './retention-policies.ts';
import type { PolicyChange } from './retention-table.ts';
import type { RowRange } from './table-stats.ts';
import type { WorkerClient } from './worker-client.ts';
import type { Held, WriterMethods } from './writer-methods.ts';

/** What the thread-crossing calls need of a store. */
export interface RetentionBackend {
  readonly writer: WorkerClient<WriterMethods>;
  readonly reader: () => Promise<WorkerClient<ReaderMethods>>;
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

export interface CleanupOptions {
  /** One table; absent: all. */
  readonly table?: RetentionTable;
  /** Milliseconds since the Unix epoch; rows are as old as they are then. */
  readonly now: number;
  /** Counts and deletes nothing. */
  readonly dryRun?: boolean;
  readonly onProgress?: (progress: CleanupProgress) => void;
  readonly signal?: AbortSignal;
}

export interface CleanupProgress {
  readonly phase: 'events' | 'rollups' | 'dictionaries' | 'space';
  readonly deletedRows: number;
  /** Rows that there were to delete at the start. */
  readonly totalRows: number;
}

export interface TableCleanup {
  readonly table: RetentionTable;
  /** `completed`, `cancelled`, or `inactive` where no active policy reaches the table. */
  readonly status: 'completed' | 'cancelled' | 'inactive';
  readonly records_deleted: number;
  readonly records_to_delete: number;
  readonly duration_seconds: number;
  readonly retention_days: number;
  readonly dry_run: boolean;
}

export interface CleanupReport {
  readonly tables: readonly TableCleanup[];
  /** Rows removed; one that two tables show counts once. */
  readonly totalDeleted: number;
  readonly durationSeconds: number;
  /** The longest time for which a slice held the writer. */
  readonly longestHoldMs: number;
  readonly cancelled: boolean;
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

const DICTIONARIES: readonly DictionaryTable[] = ['attribute_sets', 'clients', 'resources', 'shapes', 'rollup_series'];
/** Dictionary rows outlive their last event by so much, so that no event under way loses its row. */
const DICTIONARY_GRACE_MS = 2 * DAY_MS;

const timeOf = (timestamp: number | null | undefined): string | null =>
  timestamp === null || timestamp === undefined ? null : new Date(timestamp).toISOString();

/** @param known the policies as last heard of, kept current by the store */
export function createRetention(
  { writer, reader }: RetentionBackend,
  known: () => readonly RetentionPolicy[],
): Retention {
  let running: Promise<unknown> = Promise.resolve();

  const preview: Retention['preview'] = async (now, only) => {
    const policies = await writer.call('listPolicies', []);
    const from = await reader();
    const [before, all] = await Promise.all([
      from.call('rowsBefore', [cutoffsOf(policies, now)]),
      from.call('eventStats', []),
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

  async function clean({ table, now, dryRun = false, onProgress, signal }: CleanupOptions): Promise<CleanupReport> {
    const begin = performance.now();
    const policies = await writer.call('listPolicies', []);
    const due = await preview(now, table);
    const tables = RETENTION_TABLES.filter((each) => table === undefined || each === table);
    const types = [...new Set(tables.flatMap(typesOf))];
    const countOf = (each: RetentionTable): number => due[each]?.records_to_delete ?? 0;
    const totalRows =
      table === undefined ? countOf('metrics') + countOf('metrics_hourly') + countOf('metrics_daily') : countOf(table);
    const deletedByType: Record<number, number> = {};
    const deletedRollups: Partial<Record<RetentionTable, number>> = {};
    let deletedRows = 0;
    let longestHoldMs = 0;
    const isCancelled = (): boolean => signal?.aborted === true;
    const progress = (phase: CleanupProgress['phase']): void =>
      onProgress?.({ phase, deletedRows, totalRows: Math.max(totalRows, deletedRows) });

    /** Runs slices until one says that it was the last, or until cancelled. */
    async function slices<T extends Held<{ readonly done: boolean }>>(
      phase: CleanupProgress['phase'],
      next: () => Promise<T>,
      take: (slice: T) => void,
    ): Promise<void> {
      while (!isCancelled()) {
        const slice = await next();
        longestHoldMs = Math.max(longestHoldMs, slice.heldMs);
        take(slice);
        progress(phase);
        if (slice.done) return;
      }
    }
    const takeEvents = ({ deleted }: EventSlice): void => {
      for (const [type, count] of Object.entries(deleted)) {
        deletedByType[Number(type)] = (deletedByType[Number(type)] ?? 0) + count;
        deletedRows += count;
      }
    };

    if (!dryRun) {
      const cutoffs = types.map((type) => ({ number: typeNumber(type), cutoff: cutoffOf(policies, type, now) }));
      const finite = cutoffs.flatMap(({ cutoff }) => (cutoff === undefined ? [] : [cutoff]));
      const common =
        types.length === METRIC_TYPES.length && finite.length === types.length ? Math.min(...finite) : undefined;
      if (common !== undefined) await slices('events', () => writer.call('deleteEvents', [common]), takeEvents);
      for (const { number, cutoff } of cutoffs) {
        if (cutoff === undefined || cutoff === common) continue;
        let cursor = 0;
        await slices(
          'events',
          () => writer.call('deleteEventsOfType', [number, cutoff, cursor]),
          (slice) => {
            cursor = slice.cursor;
            takeEvents(slice);
          },
        );
      }
      for (const each of tables) {
        if (each !== 'metrics_hourly' && each !== 'metrics_daily') continue;
        const cutoff = rollupCutoff(policies, each, now);
        if (cutoff === undefined) continue;
        await slices(
          'rollups',
          () => writer.call('deleteRollups', [each === 'metrics_hourly' ? 'rollup_hourly' : 'rollup_daily', cutoff]),
          ({ deleted }) => {
            deletedRollups[each] = (deletedRollups[each] ?? 0) + deleted;
            deletedRows += deleted;
          },
        );
      }
      if (table === undefined) await sweepDictionaries(policies, now, slices);
      await slices(
        'space',
        () => writer.call('shrink', []),
        () => undefined,
      );
    }

    const durationSeconds = Math.round(performance.now() - begin) / 1000;
    return {
      tables: tables.map((each) => {
        const deleted = typesOf(each).reduce(
          (sum, type) => sum + (deletedByType[typeNumber(type)] ?? 0),
          deletedRollups[each] ?? 0,
        );
        const reached = tableCutoff(policies, each, now) !== undefined;
        return {
          table: each,
          status: !reached ? 'inactive' : isCancelled() ? 'cancelled' : 'completed',
          records_deleted: deleted,
          records_to_delete: countOf(each),
          duration_seconds: durationSeconds,
          retention_days: daysOf(policies, each),
          dry_run: dryRun,
        };
      }),
      totalDeleted: deletedRows,
      durationSeconds,
      longestHoldMs,
      cancelled: isCancelled(),
    };
  }

  /** Dictionary rows whose last event lies beyond every policy have no event left. */
  async function sweepDictionaries(
    policies: readonly RetentionPolicy[],
    now: number,
    slices: <T extends Held<{ readonly done: boolean }>>(
      phase: 'dictionaries',
      next: () => Promise<T>,
      take: (slice: T) => void,
    ) => Promise<void>,
  ): Promise<void> {
    const raw = METRIC_TYPES.map((type) => cutoffOf(policies, type, now));
    const rollups = (['metrics_hourly', 'metrics_daily'] as const).map((each) => rollupCutoff(policies, each, now));
    for (const dictionary of DICTIONARIES) {
      const cutoffs = dictionary === 'rollup_series' ? rollups : raw;
      // Where anything is kept for ever, so are its labels.
      if (cutoffs.includes(undefined)) continue;
      const cutoff = Math.min(...cutoffs.map(Number)) - DICTIONARY_GRACE_MS;
      let cursor = 0;
      await slices(
        'dictionaries',
        () => writer.call('deleteUnused', [dictionary, cutoff, cursor]),
        (slice) => {
          cursor = slice.cursor;
        },
      );
    }
  }

  return {
    applyDefaults: (rawDays, now) => writer.call('applyDefaultPolicies', [rawDays, now]),
    policies: () => writer.call('listPolicies', []),
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
      const run = running.then(() => clean(options));
      running = run.catch(() => undefined);
      return run;
    },
    stats: async () => {
      const policies = await writer.call('listPolicies', []);
      const all = await (await reader()).call('eventStats', []);
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
    size: async () => (await reader()).call('size', []),
  };
}

const cutoffsOf = (policies: readonly RetentionPolicy[], now: number) => ({
  byType: Object.fromEntries(METRIC_TYPES.map((type) => [typeNumber(type), cutoffOf(policies, type, now)])),
  hourly: rollupCutoff(policies, 'metrics_hourly', now),
  daily: rollupCutoff(policies, 'metrics_daily', now),
});

/** The policy's own days, which another table's policy may cut short. */
const daysOf = (policies: readonly RetentionPolicy[], table: RetentionTable): number =>
  policies.find((each) => each.table === table)?.retentionDays ?? 0;

/** Before this, rows of the table go: for `metrics` by its own policy, where it has an active one. */
function tableCutoff(policies: readonly RetentionPolicy[], table: RetentionTable, now: number): number | undefined {
  if (table === 'metrics_hourly' || table === 'metrics_daily') return rollupCutoff(policies, table, now);
  const cutoffs = typesOf(table).flatMap((type) => cutoffOf(policies, type, now) ?? []);
  return cutoffs.length === 0 ? undefined : Math.min(...cutoffs);
}

interface Ranges {
  readonly byType: Readonly<Record<number, RowRange>>;
  readonly hourly: RowRange;
  readonly daily: RowRange;
}

function rangeOf(ranges: Ranges, table: RetentionTable): RowRange {
  if (table === 'metrics_hourly') return ranges.hourly;
  if (table === 'metrics_daily') return ranges.daily;
  const parts = typesOf(table).flatMap((type) => ranges.byType[typeNumber(type)] ?? []);
  const edge = (values: readonly (number | null)[], pick: (...values: number[]) => number): number | null => {
    const known = values.filter((value) => value !== null);
    return known.length === 0 ? null : pick(...known);
  };
  return {
    rows: parts.reduce((sum, part) => sum + part.rows, 0),
    oldest: edge(
      parts.map((part) => part.oldest),
      Math.min,
    ),
    newest: edge(
      parts.map((part) => part.newest),
      Math.max,
    ),
  };
}
