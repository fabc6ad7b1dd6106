/** metrics_hourly or metrics_daily, with the rows that are being added to kept in memory. */
import type Database from 'better-sqlite3';
import type { Dictionary } from './dictionary.ts';
import { addHistogram, type Histogram } from './histogram.ts';
import {
  accumulate,
  type Accumulator,
  emptyAccumulator,
  type Rolled,
  ROLLUP_VALUE_COLUMNS,
  valuesOf,
} from './rollup-accumulator.ts';
import { overflowSeries, type RollupSeries } from './rollup-series.ts';

export interface RollupTableSpec {
  readonly table: 'rollup_hourly' | 'rollup_daily';
  readonly bucketMs: number;
  readonly maxRows: number;
}

/** A row made elsewhere, ready to be stored. */
export interface RebuiltRow {
  readonly series: RollupSeries;
  readonly overflow: boolean;
  readonly values: readonly (string | number | null)[];
}

export interface RollupTable {
  readonly bucketMs: number;
  readonly add: (event: Rolled, series: RollupSeries) => void;
  /** Writes what has changed; call inside the transaction. */
  readonly flush: () => void;
  /** Puts rows in the place of a bucket's; call inside a transaction, after `flush`. */
  readonly replace: (bucket: number, rows: readonly RebuiltRow[]) => void;
  readonly reset: () => void;
  /** Rows in memory, roughly: those of replaced buckets count until the next reset. */
  readonly size: () => number;
}

interface CachedRow extends Accumulator {
  readonly bucket: number;
  readonly seriesId: number;
  dirty: boolean;
}

/** @param maxRows series per bucket; what comes later in it counts in its type's overflow row */
export function openRollupTable(
  db: Database.Database,
  { table, bucketMs, maxRows }: RollupTableSpec,
  seriesTable: Dictionary,
): RollupTable {
  const names = `bucket, series_id, ${ROLLUP_VALUE_COLUMNS}`;
  const select = db.prepare<[number, number], StoredRow>(
    `SELECT ${names} FROM ${table} WHERE bucket = ? AND series_id = ?`,
  );
  const countRows = db
    .prepare<[number], number>(
      `SELECT count(*) FROM ${table} r WHERE r.bucket = ? AND NOT (SELECT s.overflow FROM rollup_series s WHERE s.id = r.series_id)`,
    )
    .pluck();
  const storedSeries = db.prepare<[number], number>(`SELECT series_id FROM ${table} WHERE bucket = ?`).pluck();
  const remove = db.prepare(`DELETE FROM ${table} WHERE bucket = ? AND series_id = ?`);
  // Not INSERT OR REPLACE: that deletes the row it replaces past the trigger which counts rows.
  const values = ROLLUP_VALUE_COLUMNS.split(', ').map((column) => `${column} = excluded.${column}`);
  const store = db.prepare(
    `INSERT INTO ${table} (${names}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
     ON CONFLICT (bucket, series_id) DO UPDATE SET ${values.join(', ')}`,
  );
  /** CachedRows by series key (a series beyond the cap: the overflow row's), and rows in the bucket. */
  const buckets = new Map<number, { rows: number; readonly bySeries: Map<string, CachedRow> }>();
  let dirty: CachedRow[] = [];
  let cached = 0;

  function load(bucket: number, seriesId: number): CachedRow | undefined {
    const row = select.get(bucket, seriesId);
    if (row === undefined) return undefined;
    const histogram: Histogram = new Map();
    addHistogram(histogram, row.histogram);
    return {
      bucket,
      seriesId,
      count: row.count,
      sum: row.sum,
      min: row.min,
      max: row.max,
      durationCount: row.duration_count,
      durationSumMs: row.duration_sum_ms,
      durationMinMs: row.duration_min_ms,
      durationMaxMs: row.duration_max_ms,
      histogram,
      dirty: false,
    };
  }

  const begin = (bucket: number, seriesId: number): CachedRow => ({
    bucket,
    seriesId,
    dirty: false,
    ...emptyAccumulator(),
  });

  /** The row of a series in a bucket: its own, a new one, or past the cap the overflow row. */
  function accumulator(bucket: number, series: RollupSeries): CachedRow {
    let rows = buckets.get(bucket);
    if (rows === undefined) {
      rows = { rows: countRows.get(bucket) ?? 0, bySeries: new Map() };
      buckets.set(bucket, rows);
    }
    const known = rows.bySeries.get(series.key);
    if (known !== undefined) return known;
    const mayGrow = rows.rows < maxRows;
    const entry = seriesTable.shared(series.key, bucket, () =>
      mayGrow ? [series.type, 0, ...series.values] : undefined,
    );
    let found = entry === undefined ? undefined : load(bucket, entry.id);
    if (found === undefined && entry !== undefined && mayGrow) {
      found = begin(bucket, entry.id);
      rows.rows += 1;
    }
    if (found === undefined) {
      const overflow = overflowSeries(series.type);
      found = rows.bySeries.get(overflow.key);
      if (found === undefined) {
        const { id } = seriesTable.entry(overflow.key, bucket, () => [series.type, 1, ...overflow.values]);
        found = load(bucket, id) ?? begin(bucket, id);
        rows.bySeries.set(overflow.key, found);
      }
      // Not remembered under the series' own key: those are without bound.
      return found;
    }
    rows.bySeries.set(series.key, found);
    cached += 1;
    return found;
  }

  return {
    bucketMs,
    add: (event, series) => {
      const row = accumulator(Math.floor(event.timestamp / bucketMs) * bucketMs, series);
      if (!row.dirty) {
        row.dirty = true;
        dirty.push(row);
      }
      accumulate(row, event);
    },
    flush: () => {
      for (const row of dirty) {
        store.run(row.bucket, row.seriesId, ...valuesOf(row));
        row.dirty = false;
      }
      dirty = [];
    },
    replace: (bucket, rows) => {
      buckets.delete(bucket);
      // Over what is there: to delete all and insert anew would count each row down and up.
      const left = new Set(storedSeries.all(bucket));
      // Each leaves a series in memory.
      cached += rows.length;
      for (const { series, overflow, values } of rows) {
        const { id } = seriesTable.entry(series.key, bucket, () => [series.type, Number(overflow), ...series.values]);
        store.run(bucket, id, ...values);
        left.delete(id);
      }
      for (const id of left) remove.run(bucket, id);
    },
    reset: () => {
      buckets.clear();
      dirty = [];
      cached = 0;
    },
    size: () => cached + buckets.size,
  };
}

interface StoredRow {
  readonly count: number;
  readonly sum: number;
  readonly min: number;
  readonly max: number;
  readonly duration_count: number;
  readonly duration_sum_ms: number;
  readonly duration_min_ms: number | null;
  readonly duration_max_ms: number | null;
  readonly histogram: string;
}
