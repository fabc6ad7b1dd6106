/** How long each table keeps its rows, and what follows for rows that two tables share. */
import { METRIC_TYPES, type MetricType } from '../../core/metric.ts';
import { typeNumber } from './columns.ts';

/** Tables with a policy of their own, as users know them. */
export const RETENTION_TABLES = [
  'metrics',
  'auth_metrics',
  'tool_metrics',
  'discovery_metrics',
  'protocol_metrics',
  'metrics_hourly',
  'metrics_daily',
] as const;
export type RetentionTable = (typeof RETENTION_TABLES)[number];
export type RollupTable = 'metrics_hourly' | 'metrics_daily';

export interface RetentionPolicy {
  readonly table: RetentionTable;
  /** 1 to 3,650. */
  readonly retentionDays: number;
  /** An inactive policy removes nothing. */
  readonly isActive: boolean;
}

/** The typed table that shows events of a type beside `metrics`. */
export const TYPED_TABLES: Readonly<Partial<Record<MetricType, RetentionTable>>> = {
  auth_request: 'auth_metrics',
  tool_execution: 'tool_metrics',
  tool_discovery: 'discovery_metrics',
  protocol_latency: 'protocol_metrics',
};

export const HOURLY_RETENTION_DAYS = 365;
export const DAILY_RETENTION_DAYS = 1095;
export const MIN_RETENTION_DAYS = 1;
export const MAX_RETENTION_DAYS = 3650;
export const DAY_MS = 86_400_000;

/** @param rawDays `METRICS_RETENTION_DAYS` */
export const defaultRetentionDays = (table: RetentionTable, rawDays: number): number =>
  table === 'metrics_hourly' ? HOURLY_RETENTION_DAYS : table === 'metrics_daily' ? DAILY_RETENTION_DAYS : rawDays;

export const isRetentionTable = (name: string): name is RetentionTable =>
  (RETENTION_TABLES as readonly string[]).includes(name);

export const isRollupTable = (table: RetentionTable): table is RollupTable =>
  table === 'metrics_hourly' || table === 'metrics_daily';

/** The types whose events a table shows: all of them for `metrics`, none for rollups. */
export function typesOf(table: RetentionTable): MetricType[] {
  if (table === 'metrics') return [...METRIC_TYPES];
  return METRIC_TYPES.filter((type) => TYPED_TABLES[type] === table);
}

/**
 * The days that events of a type are kept: one row serves `metrics` and the typed table, so it goes at the shorter of
 * their active policies. Undefined: for ever.
 */
export function effectiveDays(policies: readonly RetentionPolicy[], type: MetricType): number | undefined {
  const typed = TYPED_TABLES[type];
  const days = policies
    .filter(({ table, isActive }) => isActive && (table === 'metrics' || table === typed))
    .map(({ retentionDays }) => retentionDays);
  return days.length === 0 ? undefined : Math.min(...days);
}

/** Events with an earlier timestamp go; undefined: none do. Exact to the millisecond, in UTC. */
export function cutoffOf(policies: readonly RetentionPolicy[], type: MetricType, now: number): number | undefined {
  const days = effectiveDays(policies, type);
  return days === undefined ? undefined : now - days * DAY_MS;
}

/** Rollup rows whose hour or day began before this lie wholly beyond the table's policy. */
export function rollupCutoff(
  policies: readonly RetentionPolicy[],
  table: RollupTable,
  now: number,
): number | undefined {
  const policy = policies.find((each) => each.table === table);
  if (policy?.isActive !== true) return undefined;
  const length = table === 'metrics_hourly' ? DAY_MS / 24 : DAY_MS;
  return now - policy.retentionDays * DAY_MS - length + 1;
}

/** What each type and each rollup table loses; undefined: nothing. */
export interface Cutoffs {
  /** By number of type. */
  readonly byType: Readonly<Record<number, number | undefined>>;
  readonly hourly: number | undefined;
  readonly daily: number | undefined;
}

export const cutoffsOf = (policies: readonly RetentionPolicy[], now: number): Cutoffs => ({
  byType: Object.fromEntries(METRIC_TYPES.map((type) => [typeNumber(type), cutoffOf(policies, type, now)])),
  hourly: rollupCutoff(policies, 'metrics_hourly', now),
  daily: rollupCutoff(policies, 'metrics_daily', now),
});

/** Before this, rows of the table go; for `metrics` as far as its longest-kept type reaches. */
export function tableCutoff(
  policies: readonly RetentionPolicy[],
  table: RetentionTable,
  now: number,
): number | undefined {
  if (isRollupTable(table)) return rollupCutoff(policies, table, now);
  const cutoffs = typesOf(table).flatMap((type) => cutoffOf(policies, type, now) ?? []);
  return cutoffs.length === 0 ? undefined : Math.min(...cutoffs);
}

/** The policy's own days, which another table's policy may cut short. */
export const daysOf = (policies: readonly RetentionPolicy[], table: RetentionTable): number =>
  policies.find((each) => each.table === table)?.retentionDays ?? 0;
