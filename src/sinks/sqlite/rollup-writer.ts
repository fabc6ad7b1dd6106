/**
 * Keeps metrics_hourly and metrics_daily current inside the transaction that writes the events. Sums are carried on
 * event by event in row order, so that a rebuild from the raw rows gives the same numbers to the last bit.
 */
import type Database from 'better-sqlite3';
import type { MetricEvent } from '../../core/metric.ts';
import { COLUMNS, labelValue, ROLLUP_LABELS, type TypeColumns } from './columns.ts';
import { type Dictionary, openDictionary } from './dictionary.ts';
import { addHistogram, encodeHistogram, type Histogram, observe } from './histogram.ts';

export interface RollupCaps {
  /** Series per hour; what comes later in the hour counts in its type's overflow row. */
  readonly maxHourlyRows: number;
  /** The same per day. */
  readonly maxDailyRows: number;
}

/** Characters of a label value; longer ones are `_other`, here as in the Prometheus totals. */
export const MAX_LABEL_LENGTH = 96;
export const OVERFLOW_SERVICE = '_other';

export const HOUR_MS = 3_600_000;
export const DAY_MS = 86_400_000;
/** Rows kept in memory between transactions; beyond that they are read again when needed. */
const MAX_CACHED_ROWS = 50_000;

interface Accumulator {
  readonly bucket: number;
  readonly seriesId: number;
  count: number;
  sum: number;
  min: number;
  max: number;
  durationCount: number;
  durationSumMs: number;
  durationMinMs: number | null;
  durationMaxMs: number | null;
  readonly histogram: Histogram;
  dirty: boolean;
}

/** What tells a series apart; `key` is unambiguous. */
export interface RollupSeries {
  readonly key: string;
  readonly type: number;
  readonly values: readonly (string | number | null)[];
}

export interface RollupWriter {
  readonly add: (event: MetricEvent, series: RollupSeries) => void;
  /** Writes what has changed; call inside the transaction. */
  readonly flush: () => void;
  /** Forgets all that is not in the database: after a rollback. */
  readonly reset: () => void;
}

/** The duration that an event's histogram takes, in milliseconds; protocol latency's is its value. */
export const durationOf = (event: Pick<MetricEvent, 'type' | 'value' | 'durationMs'>): number | undefined =>
  event.type === 'protocol_latency' ? event.value * 1000 : event.durationMs;

/** The series of an event: its service and, of its labels, the raw values. */
export function rollupSeriesOf(event: MetricEvent, service: string): RollupSeries {
  const columns = COLUMNS[event.type];
  return seriesOf(
    columns.number,
    service,
    ROLLUP_LABELS.map((label) =>
      hasLabel(columns, label) ? labelValue(label, event.dimensions[label] ?? event.metadata[label]) : null,
    ),
  );
}

/** @param labels values as the label columns hold them, in the order of ROLLUP_LABELS */
export function seriesOf(type: number, service: string, labels: readonly (string | number | null)[]): RollupSeries {
  let key = `${type}|${service.length}:${service}`;
  const values: (string | number | null)[] = [service];
  for (const label of labels) {
    const value = typeof label === 'string' && label.length > MAX_LABEL_LENGTH ? OVERFLOW_SERVICE : label;
    values.push(value);
    key += value === null ? '-' : `${typeof value === 'number' ? 'n' : 's'}${String(value).length}:${value}`;
  }
  return { key, type, values };
}

const hasLabel = (columns: TypeColumns, label: (typeof ROLLUP_LABELS)[number]): boolean =>
  label === 'client_name' ? columns.client : columns.labels.includes(label);

export function openRollupWriter(db: Database.Database, caps: RollupCaps): RollupWriter {
  const seriesTable = openSeries(db);
  const hourly = openTable(db, 'rollup_hourly', caps.maxHourlyRows);
  const daily = openTable(db, 'rollup_daily', caps.maxDailyRows);

  const reset = (): void => {
    seriesTable.reset();
    hourly.reset();
    daily.reset();
  };
  return {
    add: (event, series) => {
      const { timestamp } = event;
      hourly.add(Math.floor(timestamp / HOUR_MS) * HOUR_MS, event, series, seriesTable);
      daily.add(Math.floor(timestamp / DAY_MS) * DAY_MS, event, series, seriesTable);
    },
    flush: () => {
      seriesTable.flush();
      hourly.flush();
      daily.flush();
      if (hourly.size() + daily.size() > MAX_CACHED_ROWS) reset();
    },
    reset,
  };
}

const openSeries = (db: Database.Database): Dictionary =>
  openDictionary(db, {
    table: 'rollup_series',
    columns: ['type', 'overflow', 'service', ...ROLLUP_LABELS],
    // Bounded by the rows per bucket, and by retention.
    maxRows: Number.POSITIVE_INFINITY,
    bounded: [],
    maxValues: 0,
    maxLength: 0,
  });

const overflowSeries = (type: number): RollupSeries => ({
  key: `overflow ${type}`,
  type,
  values: [OVERFLOW_SERVICE, ...ROLLUP_LABELS.map(() => null)],
});

function openTable(db: Database.Database, table: string, maxRows: number) {
  const names =
    'bucket, series_id, count, sum, min, max, duration_count, duration_sum_ms, duration_min_ms, duration_max_ms, histogram';
  const select = db.prepare<[number, number], StoredRow>(
    `SELECT ${names} FROM ${table} WHERE bucket = ? AND series_id = ?`,
  );
  const countRows = db
    .prepare<[number], number>(
      `SELECT count(*) FROM ${table} r WHERE r.bucket = ? AND NOT (SELECT s.overflow FROM rollup_series s WHERE s.id = r.series_id)`,
    )
    .pluck();
  const store = db.prepare(`INSERT OR REPLACE INTO ${table} (${names}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`);
  /** Accumulators by series key (a series beyond the cap: the overflow row's), and rows in the bucket. */
  const buckets = new Map<number, { rows: number; readonly bySeries: Map<string, Accumulator> }>();
  let dirty: Accumulator[] = [];
  let cached = 0;

  function load(bucket: number, seriesId: number): Accumulator | undefined {
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

  const begin = (bucket: number, seriesId: number): Accumulator => ({
    bucket,
    seriesId,
    count: 0,
    sum: 0,
    min: Number.POSITIVE_INFINITY,
    max: Number.NEGATIVE_INFINITY,
    durationCount: 0,
    durationSumMs: 0,
    durationMinMs: null,
    durationMaxMs: null,
    histogram: new Map(),
    dirty: false,
  });

  /** The row of a series in a bucket: its own, a new one, or past the cap the overflow row. */
  function accumulator(bucket: number, series: RollupSeries, seriesTable: Dictionary): Accumulator {
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
    add: (bucket: number, event: MetricEvent, series: RollupSeries, seriesTable: Dictionary): void => {
      const row = accumulator(bucket, series, seriesTable);
      if (!row.dirty) {
        row.dirty = true;
        dirty.push(row);
      }
      const { value } = event;
      row.count += 1;
      row.sum += value;
      if (value < row.min) row.min = value;
      if (value > row.max) row.max = value;
      const duration = durationOf(event);
      if (duration === undefined) return;
      row.durationCount += 1;
      row.durationSumMs += duration;
      if (row.durationMinMs === null || duration < row.durationMinMs) row.durationMinMs = duration;
      if (row.durationMaxMs === null || duration > row.durationMaxMs) row.durationMaxMs = duration;
      observe(row.histogram, duration);
    },
    flush: (): void => {
      for (const row of dirty) {
        store.run(
          row.bucket,
          row.seriesId,
          row.count,
          row.sum,
          row.min,
          row.max,
          row.durationCount,
          row.durationSumMs,
          row.durationMinMs,
          row.durationMaxMs,
          encodeHistogram(row.histogram),
        );
        row.dirty = false;
      }
      dirty = [];
    },
    reset: (): void => {
      buckets.clear();
      dirty = [];
      cached = 0;
    },
    size: (): number => cached + buckets.size,
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
