/**
 * Keeps metrics_hourly and metrics_daily current inside the transaction that writes the events. Sums are carried on
 * event by event in row order, so that a rebuild from the raw rows gives the same numbers to the last bit.
 */
import type Database from 'better-sqlite3';
import type { Rolled } from './rollup-accumulator.ts';
import { DAY_MS, HOUR_MS, openSeries, type RollupSeries } from './rollup-series.ts';
import { openRollupTable, type RollupTable } from './rollup-table.ts';

export interface RollupCaps {
  /** Series per hour; what comes later in the hour counts in its type's overflow row. */
  readonly maxHourlyRows: number;
  /** The same per day. */
  readonly maxDailyRows: number;
}

/** Rows kept in memory between transactions; beyond that they are read again when needed. */
const MAX_CACHED_ROWS = 50_000;

export interface RollupWriter {
  readonly add: (event: Rolled, series: RollupSeries) => void;
  /** Writes what has changed; call inside the transaction. */
  readonly flush: () => void;
  /** Forgets all that is not in the database: after a rollback. */
  readonly reset: () => void;
  readonly hourly: RollupTable;
  readonly daily: RollupTable;
}

export function openRollupWriter(db: Database.Database, caps: RollupCaps): RollupWriter {
  const series = openSeries(db);
  const hourly = openRollupTable(
    db,
    { table: 'rollup_hourly', bucketMs: HOUR_MS, maxRows: caps.maxHourlyRows },
    series,
  );
  const daily = openRollupTable(db, { table: 'rollup_daily', bucketMs: DAY_MS, maxRows: caps.maxDailyRows }, series);

  const reset = (): void => {
    series.reset();
    hourly.reset();
    daily.reset();
  };
  return {
    hourly,
    daily,
    add: (event, of) => {
      hourly.add(event, of);
      daily.add(event, of);
    },
    flush: () => {
      series.flush();
      hourly.flush();
      daily.flush();
      if (hourly.size() + daily.size() > MAX_CACHED_ROWS) reset();
    },
    reset,
  };
}
