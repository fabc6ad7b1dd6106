/** Raw rows read back as what rollups take of them. */
import type Database from 'better-sqlite3';
import { METRIC_TYPES } from '../../core/metric.ts';
import { ROLLUP_LABELS } from './columns.ts';
import type { Rolled } from './rollup-accumulator.ts';
import { type RollupSeries, seriesOf } from './rollup-series.ts';

export interface RolledEvent {
  readonly event: Rolled;
  readonly series: RollupSeries;
}

export interface RolledEvents {
  /** Ids of the events from `from` to before `to`, ascending. */
  readonly ids: (from: number, to: number) => Float64Array;
  /** Ids of those that came after an event, ascending. */
  readonly idsAfter: (id: number, from: number, to: number) => number[];
  /** The highest id that there is; 0: none. */
  readonly lastId: () => number;
  readonly read: (id: number) => RolledEvent | undefined;
}

interface Row {
  readonly type: number;
  readonly timestamp: number;
  readonly value: number;
  readonly duration_ms: number | null;
  readonly attribute_set_id: number;
  readonly client_id: number | null;
  readonly resource_id: number;
}

/** Series descriptions kept by dictionary ids. */
const MAX_CACHED_SERIES = 50_000;

export function openRolledEvents(db: Database.Database): RolledEvents {
  const select = db
    .prepare<[number, number], number>('SELECT id FROM events WHERE timestamp >= ? AND timestamp < ?')
    .pluck();
  // By the key: what came last is little, the hour or day may be much.
  const selectAfter = db
    .prepare<[number, number, number], number>(
      'SELECT id FROM events WHERE id > ? AND +timestamp >= ? AND +timestamp < ? ORDER BY id',
    )
    .pluck();
  const last = db.prepare<[], number | null>('SELECT max(id) FROM events').pluck();
  const get = db.prepare<[number], Row>(
    'SELECT type, timestamp, value, duration_ms, attribute_set_id, client_id, resource_id FROM events WHERE id = ?',
  );
  const labels = ROLLUP_LABELS.map((label) => (label === 'client_name' ? 'c.client_name' : `s.${label}`)).join(', ');
  const describe = db
    .prepare<[number | null, number, number], (string | number | null)[]>(
      `SELECT r.service, ${labels} FROM attribute_sets s LEFT JOIN clients c ON c.id = ? LEFT JOIN resources r ON r.id = ?
       WHERE s.id = ?`,
    )
    .raw();
  const cache = new Map<string, RollupSeries>();

  return {
    ids: (from, to) => Float64Array.from(select.all(from, to)).sort(),
    idsAfter: (id, from, to) => selectAfter.all(id, from, to),
    lastId: () => last.get() ?? 0,
    read: (id) => {
      const row = get.get(id);
      const type = row === undefined ? undefined : METRIC_TYPES[row.type - 1];
      if (row === undefined || type === undefined) return undefined;
      const key = `${row.attribute_set_id}.${row.client_id ?? 0}.${row.resource_id}`;
      let series = cache.get(key);
      if (series === undefined) {
        const [service, ...values] = describe.get(row.client_id, row.resource_id, row.attribute_set_id) ?? [];
        series = seriesOf(row.type, String(service ?? ''), values);
        if (cache.size >= MAX_CACHED_SERIES) cache.clear();
        cache.set(key, series);
      }
      const { timestamp, value, duration_ms: durationMs } = row;
      return { event: { type, timestamp, value, ...(durationMs === null ? undefined : { durationMs }) }, series };
    },
  };
}
