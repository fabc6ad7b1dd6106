/** What tells the rows of an hour or a day apart: service, type and label values, with the caps that bound them. */
import type Database from 'better-sqlite3';
import type { MetricEvent } from '../../core/metric.ts';
import { COLUMNS, labelValue, ROLLUP_LABELS, type TypeColumns } from './columns.ts';
import { type Dictionary, openDictionary } from './dictionary.ts';

/** Characters of a label value; longer ones are `_other`, here as in the Prometheus totals. */
export const MAX_LABEL_LENGTH = 96;
export const OVERFLOW_SERVICE = '_other';

export const HOUR_MS = 3_600_000;
export const DAY_MS = 86_400_000;
/** What tells a series apart; `key` is unambiguous. */
export interface RollupSeries {
  readonly key: string;
  readonly type: number;
  readonly values: readonly (string | number | null)[];
}

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

export const openSeries = (db: Database.Database): Dictionary =>
  openDictionary(db, {
    table: 'rollup_series',
    columns: ['type', 'overflow', 'service', ...ROLLUP_LABELS],
    // Bounded by the rows per bucket, and by retention.
    maxRows: Number.POSITIVE_INFINITY,
    bounded: [],
    maxValues: 0,
    maxLength: 0,
  });

/** The series of what is beyond the cap on rows per bucket. */
export const overflowSeries = (type: number): RollupSeries => ({
  key: `overflow ${type}`,
  type,
  values: [OVERFLOW_SERVICE, ...ROLLUP_LABELS.map(() => null)],
});
