/** How much arrives a day, how the database grows with it, and when it reaches its limit if that goes on. */
import { statfsSync } from 'node:fs';
import { dirname } from 'node:path';
import type Database from 'better-sqlite3';
import { METRIC_TYPES } from '../../../core/metric.ts';
import { effectiveDays, type RetentionPolicy } from '../retention-policies.ts';
import { DAY_MS } from '../rollup-series.ts';

export interface TrendOptions {
  readonly now: number;
  /** Complete days that the trend is drawn through. */
  readonly days: number;
  readonly policies: readonly RetentionPolicy[];
  /** Bytes that the database may take; absent: what it takes now and the disk has free. */
  readonly limitBytes?: number;
  /** Days that are looked ahead. */
  readonly horizonDays: number;
}

export interface Trend {
  readonly rows: readonly { readonly day: string; readonly count: number }[];
  /** Events a day at the end of the line through those days, and what is added to it each day. */
  readonly events_per_day: number;
  readonly change_per_day: number;
  readonly database_bytes: number;
  readonly bytes_per_event: number | null;
  readonly limit_bytes: number;
  /** The day on which the limit is reached; null: not within the horizon. */
  readonly limit_reached: string | null;
  readonly projection: readonly { readonly day: string; readonly events: number; readonly bytes: number }[];
}

/** Assumed of a database too small to tell. */
const TYPICAL_BYTES_PER_EVENT = 190;

export function trend(db: Database.Database, path: string, options: TrendOptions): Trend {
  const today = Math.floor(options.now / DAY_MS);
  const kept = METRIC_TYPES.map((type) => effectiveDays(options.policies, type));
  const longest = Math.max(options.days, ...kept.map((days) => Math.min(days ?? 0, options.horizonDays * 4)));
  /** Events by type and day, from rollups. */
  const history = new Map<string, number>();
  const rows = db
    .prepare<[number], { day: number; type: number; count: number }>(
      `SELECT r.bucket / ${DAY_MS} AS day, s.type, sum(r.count) AS count FROM rollup_daily r
       JOIN rollup_series s ON s.id = r.series_id WHERE r.bucket >= ? GROUP BY 1, 2`,
    )
    .all((today - longest) * DAY_MS);
  for (const { day, type, count } of rows) history.set(`${day}/${type}`, count);
  const on = (day: number, type: number): number => history.get(`${day}/${type}`) ?? 0;
  const types = METRIC_TYPES.map((_, at) => at + 1);
  const sumOn = (day: number): number => types.reduce((sum, type) => sum + on(day, type), 0);

  const days = Array.from({ length: options.days }, (_, at) => today - options.days + at);
  const firstSeen = days.findIndex((day) => sumOn(day) > 0);
  const seen = firstSeen < 0 ? [] : days.slice(firstSeen);
  const total = line(seen.map(sumOn));
  const lines = types.map((type) => line(seen.map((day) => on(day, type))));

  const pageSize = db.pragma('page_size', { simple: true }) as number;
  const used =
    ((db.pragma('page_count', { simple: true }) as number) -
      (db.pragma('freelist_count', { simple: true }) as number)) *
    pageSize;
  const events = db.prepare<[], number>('SELECT sum(count) FROM event_counts').pluck().get() ?? 0;
  const bytesPerEvent = events < 10_000 ? TYPICAL_BYTES_PER_EVENT : used / events;
  const limit = options.limitBytes ?? used + freeBytes(path);

  const projection: { day: string; events: number; bytes: number }[] = [];
  let held = events;
  let reached: string | null = null;
  for (let ahead = 1; ahead <= options.horizonDays; ahead += 1) {
    let arrivals = 0;
    for (const [at, type] of types.entries()) {
      const arriving = lines[at]!.at(ahead);
      arrivals += arriving;
      held += arriving;
      const keptDays = kept[at];
      if (keptDays === undefined) continue;
      const leaving = ahead - keptDays;
      held -= leaving > 0 ? lines[at]!.at(leaving) : on(today + leaving, type);
    }
    held = Math.max(0, held);
    const bytes = Math.round(used + (held - events) * bytesPerEvent);
    const day = dayName(today + ahead);
    projection.push({ day, events: Math.round(arrivals), bytes });
    if (reached === null && bytes >= limit) reached = day;
  }
  return {
    rows: days.map((day) => ({ day: dayName(day), count: sumOn(day) })),
    events_per_day: Math.round(total.at(0)),
    change_per_day: Number(total.slope.toPrecision(4)),
    database_bytes: used,
    bytes_per_event: events === 0 ? null : Math.round(bytesPerEvent * 10) / 10,
    limit_bytes: limit,
    limit_reached: reached,
    projection,
  };
}

/** The least-squares line through the values; `at(0)` is its end, `at(n)` n days later. Never below zero. */
function line(values: readonly number[]): { readonly slope: number; readonly at: (ahead: number) => number } {
  const n = values.length;
  if (n === 0) return { slope: 0, at: () => 0 };
  const meanX = (n - 1) / 2;
  const meanY = values.reduce((sum, value) => sum + value, 0) / n;
  let covariance = 0;
  let variance = 0;
  for (const [x, y] of values.entries()) {
    covariance += (x - meanX) * (y - meanY);
    variance += (x - meanX) ** 2;
  }
  // Two or three days make no trend.
  const slope = n < 4 ? 0 : covariance / variance;
  return { slope, at: (ahead) => Math.max(0, meanY + slope * (n - 1 - meanX + ahead)) };
}

const dayName = (day: number): string => new Date(day * DAY_MS).toISOString().slice(0, 10);

function freeBytes(path: string): number {
  const { bavail, bsize } = statfsSync(dirname(path));
  return bavail * bsize;
}
