/**
 * Imports the database of the replaced service: resumable, since each slice is written with the place that it ends at,
 * and idempotent, since the same source is known again by its rows, wherever its file lies and whatever was added to it.
 */
import { randomBytes } from 'node:crypto';
import type { Scope } from '../../core/key-store.ts';
import { METRIC_TYPES } from '../../core/metric.ts';
import type { ImportedPolicy } from './import-policies.ts';
import type { LegacyDatabase } from './legacy-database.ts';
import { cutoffOf } from './retention-policies.ts';
import { startWorker, type WorkerClient } from './worker-client.ts';
import type { WriterMethods } from './writer-methods.ts';

export interface ImportOptions {
  /** Milliseconds since the Unix epoch. */
  readonly now: number;
  /** What imported keys may do. Default `ingest` alone. */
  readonly keyScopes?: readonly Scope[];
  readonly onProgress?: (progress: ImportProgress) => void;
  readonly signal?: AbortSignal;
}

export interface ImportProgress {
  readonly table: string;
  /** Rows of the source that are done, those of earlier imports included. */
  readonly rows: number;
  readonly totalRows: number;
}

export interface ImportReport {
  readonly imported: number;
  /** Rows that an earlier import had taken already. */
  readonly already: number;
  readonly skipped: number;
  /** The first of those, with why. */
  readonly skippedRows: readonly { readonly row: string; readonly reason: string }[];
  /** Imported without their dimensions or metadata, whose JSON cannot be read. */
  readonly incomplete: number;
  /** The first of those, with why. */
  readonly incompleteRows: readonly { readonly row: string; readonly reason: string }[];
  readonly keysImported: number;
  readonly keysKnown: number;
  /** Events older than their table is kept: the next cleanup takes the single rows, their rollups stay. */
  readonly beyondRetention: number;
  /** Policies that differ from the replaced service's defaults, with what became of them; those of an earlier import are not among them. */
  readonly policies: readonly ImportedPolicy[];
  readonly cancelled: boolean;
}

const ROWS_PER_SLICE = 2000;
const MAX_ROWS_TOLD = 20;

/** @throws UnusableDatabase for a file that is no database of the replaced service */
export async function importLegacy(
  writer: WorkerClient<WriterMethods>,
  path: string,
  { now, keyScopes = ['ingest'], onProgress, signal }: ImportOptions,
): Promise<ImportReport> {
  const source = await startWorker<LegacyDatabase>({
    script: 'legacy-worker',
    data: { path },
    onMessage: () => undefined,
    onCrash: () => undefined,
  });
  try {
    return await run();
  } finally {
    await source.close();
  }

  async function run(): Promise<ImportReport> {
    const { lineage, reached } = await recognise();
    const tables = await source.call('tables', []);
    const totalRows = tables.reduce((sum, { rows }) => sum + rows, 0);
    const skippedRows: { row: string; reason: string }[] = [];
    const incompleteRows: { row: string; reason: string }[] = [];
    let imported = 0;
    let skipped = 0;
    let incomplete = 0;
    let already = 0;
    let beyondRetention = 0;
    const legacyPolicies = await source.call('policies', []);
    const policies = await writer.call('importPolicies', [lineage, legacyPolicies, now]);
    const current = await writer.call('listPolicies', []);
    const cutoffs = new Map(
      METRIC_TYPES.map((type) => [type, cutoffOf(current, type, now) ?? Number.NEGATIVE_INFINITY]),
    );
    for (const { table } of tables) already += await source.call('rowsThrough', [table, reached.get(table) ?? 0]);
    let rows = already;
    for (const { table } of tables) {
      let after = reached.get(table) ?? 0;
      while (signal?.aborted !== true) {
        const slice = await source.call('next', [table, after, ROWS_PER_SLICE]);
        if (slice.anchor === undefined) break;
        await writer.call('importEvents', [lineage, slice.events, slice.anchor]);
        after = slice.anchor.sourceId;
        imported += slice.events.length;
        beyondRetention += slice.events.filter(({ event }) => event.timestamp < cutoffs.get(event.type)!).length;
        skipped += slice.skipped.length;
        skippedRows.push(...slice.skipped.slice(0, MAX_ROWS_TOLD - skippedRows.length));
        incomplete += slice.incomplete.length;
        incompleteRows.push(...slice.incomplete.slice(0, MAX_ROWS_TOLD - incompleteRows.length));
        rows += slice.rows;
        onProgress?.({ table, rows, totalRows });
      }
    }
    const keys = signal?.aborted === true ? [] : await source.call('keys', []);
    const named = keys.map((key) => ({ ...key, id: `key_${randomBytes(8).toString('hex')}` }));
    const keysImported = named.length === 0 ? 0 : await writer.call('importKeys', [named, keyScopes, now]);
    return {
      imported,
      already,
      skipped,
      skippedRows,
      incomplete,
      incompleteRows,
      keysImported,
      keysKnown: keys.length - keysImported,
      beyondRetention,
      policies,
      cancelled: signal?.aborted === true,
    };
  }

  /** Whether this source was imported before, and how far. */
  async function recognise(): Promise<{ lineage: number; reached: ReadonlyMap<string, number> }> {
    const anchors = await writer.call('importAnchors', []);
    const reached = new Map<string, number>();
    let lineage: number | undefined;
    for (const anchor of anchors) {
      if (lineage !== undefined && anchor.lineage !== lineage) continue;
      if (lineage === undefined && !(await source.call('knows', [anchor]))) continue;
      lineage = anchor.lineage;
    }
    for (const anchor of anchors) {
      if (anchor.lineage !== lineage) continue;
      reached.set(anchor.sourceTable, Math.max(reached.get(anchor.sourceTable) ?? 0, anchor.sourceId));
    }
    return { lineage: lineage ?? 1 + Math.max(0, ...anchors.map((anchor) => anchor.lineage)), reached };
  }
}
