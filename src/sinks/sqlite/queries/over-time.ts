/** Rollups as points over time: requests, failures and latency percentiles by hour or day. */
import type Database from 'better-sqlite3';
import { DAY_MS, HOUR_MS } from '../rollup-series.ts';
import { type Aggregate, addRow, emptyAggregate, summarise, type Summary } from './aggregate.ts';
import { readRollups, type RollupRange, widen } from './rollup-reader.ts';

export interface OverTimeOptions extends RollupRange {
  readonly step: 'hour' | 'day';
  readonly limit: number;
  readonly offset: number;
}

export type Point = Summary & { readonly time: string; readonly per_second: number };

/** One point per hour or day, oldest first, those without events included. */
export function overTime(db: Database.Database, options: OverTimeOptions): { rows: Point[]; total: number } {
  const unit = options.step === 'day' ? DAY_MS : HOUR_MS;
  const { from, to } = widen(options);
  const total = Math.max(0, Math.round((to - from) / unit));
  const first = from + options.offset * unit;
  const end = Math.min(to, first + options.limit * unit);
  const buckets = new Map<number, Aggregate>();
  for (const row of readRollups(db, { ...options, from: first, to: end })) {
    let aggregate = buckets.get(row.bucket);
    if (aggregate === undefined) {
      aggregate = emptyAggregate();
      buckets.set(row.bucket, aggregate);
    }
    addRow(aggregate, row);
  }
  const rows: Point[] = [];
  for (let bucket = first; bucket < end; bucket += unit) {
    const summary = summarise(buckets.get(bucket) ?? emptyAggregate());
    const perSecond = Number((summary.count / (unit / 1000)).toPrecision(6));
    rows.push({ time: new Date(bucket).toISOString(), per_second: perSecond, ...summary });
  }
  return { rows, total };
}
