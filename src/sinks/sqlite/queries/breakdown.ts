/** Rollups by label: top tools, servers and clients, success rates, errors by code, latency of protocol steps. */
import type Database from 'better-sqlite3';
import { type Aggregate, addRow, emptyAggregate, summarise, type Summary } from './aggregate.ts';
import { readRollups, type RollupLabel, type RollupRange } from './rollup-reader.ts';

export interface BreakdownOptions extends RollupRange {
  readonly by: readonly (RollupLabel | 'service')[];
  /** Leaves out rows that have none of the `by` labels. */
  readonly onlyNamed: boolean;
  readonly order: 'count' | 'failures' | 'p95_ms';
  readonly limit: number;
  readonly offset: number;
}

export type BreakdownRow = Summary & { readonly [label: string]: string | number | null };

/** What is beyond a bucket's cap on rows has no labels left and shows as this. */
const OVERFLOW = '_other';

export function breakdown(db: Database.Database, options: BreakdownOptions): { rows: BreakdownRow[]; total: number } {
  const groups = new Map<string, { labels: Record<string, string | number | null>; aggregate: Aggregate }>();
  for (const row of readRollups(db, options)) {
    const labels: Record<string, string | number | null> = {};
    let key = '';
    let named = false;
    for (const label of options.by) {
      const value = row.overflow === 1 && options.labels === undefined ? OVERFLOW : row[label];
      if (value !== null) named = true;
      labels[label] = value;
      key += `${typeof value}${String(value).length}:${value}`;
    }
    if (options.onlyNamed && !named) continue;
    let group = groups.get(key);
    if (group === undefined) {
      group = { labels, aggregate: emptyAggregate() };
      groups.set(key, group);
    }
    addRow(group.aggregate, row);
  }
  const rows = [...groups.values()].map(({ labels, aggregate }) => ({ ...labels, ...summarise(aggregate) }));
  const { order } = options;
  rows.sort(
    (a, b) =>
      (b[order] ?? -1) - (a[order] ?? -1) || b.count - a.count || (nameOf(a, options) < nameOf(b, options) ? -1 : 1),
  );
  return { rows: rows.slice(options.offset, options.offset + options.limit), total: rows.length };
}

const nameOf = (row: BreakdownRow, { by }: BreakdownOptions): string => by.map((label) => String(row[label])).join(' ');
