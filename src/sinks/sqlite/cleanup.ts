/** One run of the cleanup: asks the writer for slices until nothing is due, or until it is cancelled. */
import { METRIC_TYPES } from '../../core/metric.ts';
import type { DictionaryTable, EventSlice } from './cleanup-slices.ts';
import { typeNumber } from './columns.ts';
import {
  cutoffOf,
  DAY_MS,
  daysOf,
  isRollupTable,
  RETENTION_TABLES,
  type RetentionPolicy,
  type RetentionTable,
  rollupCutoff,
  tableCutoff,
  typesOf,
} from './retention-policies.ts';
import type { WorkerClient } from './worker-client.ts';
import type { Held, WriterMethods } from './writer-methods.ts';

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

const DICTIONARIES: readonly DictionaryTable[] = ['attribute_sets', 'clients', 'resources', 'shapes', 'rollup_series'];
/** Dictionary rows outlive their last event by so much, so that no event under way loses its row. */
const DICTIONARY_GRACE_MS = 2 * DAY_MS;

type Phase = CleanupProgress['phase'];
type Slice = Held<{ readonly done: boolean }>;
/** Runs slices until one says that it was the last, or until cancelled. */
type RunSlices = <T extends Slice>(phase: Phase, next: () => Promise<T>, take?: (slice: T) => void) => Promise<void>;

export interface CleanupBackend {
  readonly writer: WorkerClient<WriterMethods>;
  /** What is due, for the report. */
  readonly preview: (
    now: number,
    table?: RetentionTable,
  ) => Promise<Partial<Record<RetentionTable, { readonly records_to_delete: number }>>>;
}

export async function runCleanup(
  { writer, preview }: CleanupBackend,
  { table, now, dryRun = false, onProgress, signal }: CleanupOptions,
): Promise<CleanupReport> {
  const begin = performance.now();
  const policies = await writer.call('listPolicies', []);
  const due = await preview(now, table);
  const tables = RETENTION_TABLES.filter((each) => table === undefined || each === table);
  const countOf = (each: RetentionTable): number => due[each]?.records_to_delete ?? 0;
  const totalRows =
    table === undefined ? countOf('metrics') + countOf('metrics_hourly') + countOf('metrics_daily') : countOf(table);
  const deletedByType = new Map<number, number>();
  const deletedRollups = new Map<RetentionTable, number>();
  let deletedRows = 0;
  let longestHoldMs = 0;
  const isCancelled = (): boolean => signal?.aborted === true;

  const slices: RunSlices = async (phase, next, take) => {
    while (!isCancelled()) {
      const slice = await next();
      longestHoldMs = Math.max(longestHoldMs, slice.heldMs);
      take?.(slice);
      onProgress?.({ phase, deletedRows, totalRows: Math.max(totalRows, deletedRows) });
      if (slice.done) return;
    }
  };
  const add = <Key>(counts: Map<Key, number>, key: Key, rows: number): void => {
    counts.set(key, (counts.get(key) ?? 0) + rows);
    deletedRows += rows;
  };
  const takeEvents = ({ deleted }: EventSlice): void => {
    for (const [type, rows] of Object.entries(deleted)) add(deletedByType, Number(type), rows);
  };

  if (!dryRun) {
    await deleteEvents(writer, { policies, now, tables }, slices, takeEvents);
    for (const each of tables.filter(isRollupTable)) {
      const cutoff = rollupCutoff(policies, each, now);
      if (cutoff === undefined) continue;
      await slices(
        'rollups',
        () => writer.call('deleteRollups', [each === 'metrics_hourly' ? 'rollup_hourly' : 'rollup_daily', cutoff]),
        ({ deleted }) => add(deletedRollups, each, deleted),
      );
    }
    if (table === undefined) await sweepDictionaries(writer, { policies, now }, slices);
    await slices('space', () => writer.call('shrink', []));
  }

  const durationSeconds = Math.round(performance.now() - begin) / 1000;
  return {
    tables: tables.map((each) => {
      const deleted = typesOf(each).reduce(
        (sum, type) => sum + (deletedByType.get(typeNumber(type)) ?? 0),
        deletedRollups.get(each) ?? 0,
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

interface Due {
  readonly policies: readonly RetentionPolicy[];
  readonly now: number;
  readonly tables: readonly RetentionTable[];
}

/** By the clock as far as all types go alike; then type by type what goes earlier. */
async function deleteEvents(
  writer: WorkerClient<WriterMethods>,
  { policies, now, tables }: Due,
  slices: RunSlices,
  take: (slice: EventSlice) => void,
): Promise<void> {
  const types = [...new Set(tables.flatMap(typesOf))];
  const cutoffs = types.map((type) => ({ number: typeNumber(type), cutoff: cutoffOf(policies, type, now) }));
  const finite = cutoffs.flatMap(({ cutoff }) => cutoff ?? []);
  const isOfAll = types.length === METRIC_TYPES.length && finite.length === types.length;
  const common = isOfAll ? Math.min(...finite) : undefined;
  if (common !== undefined) await slices('events', () => writer.call('deleteEvents', [common]), take);
  for (const { number, cutoff } of cutoffs) {
    if (cutoff === undefined || cutoff === common) continue;
    let cursor = 0;
    await slices(
      'events',
      () => writer.call('deleteEventsOfType', [number, cutoff, cursor]),
      (slice) => {
        cursor = slice.cursor;
        take(slice);
      },
    );
  }
}

/** Dictionary rows whose last event lies beyond every policy have no event left. */
async function sweepDictionaries(
  writer: WorkerClient<WriterMethods>,
  { policies, now }: Omit<Due, 'tables'>,
  slices: RunSlices,
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
