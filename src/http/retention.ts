/** `/admin/retention`: how long tables keep their rows, what would go, and the clean-up on demand. */
import { Hono } from 'hono';
import { Refusal } from '../core/refusal.ts';
import type { CleanupOptions, CleanupReport } from '../sinks/sqlite/cleanup.ts';
import {
  isRetentionTable,
  RETENTION_TABLES,
  type RetentionPolicy,
  type RetentionTable,
} from '../sinks/sqlite/retention-policies.ts';
import { CleanupRequest, OneTable, PolicyChange } from './answers.ts';
import type { AppEnv } from './app-env.ts';
import { requireScope } from './caller.ts';
import type { HttpDependencies } from './dependencies.ts';
import { operation } from './operation.ts';
import { readParameters } from './parameters.ts';
import { NDJSON, progressLines } from './progress-lines.ts';

const ADMIN = ['admin'] as const;

export function retentionRoutes(dependencies: HttpDependencies): Hono<AppEnv> {
  const { log, clock, retention } = dependencies;
  return new Hono<AppEnv>()
    .get(
      '/admin/retention/policies',
      operation({
        summary: 'How long each table keeps its rows',
        tag: 'retention',
        needs: ADMIN,
        answers: { 200: { description: 'Policies by table', shape: 'Policies' } },
      }),
      async (c) => {
        requireScope(c, dependencies, ADMIN);
        const policies = await retention.policies();
        return c.json(Object.fromEntries(policies.map((policy) => [policy.table, policyJson(policy)])));
      },
    )
    .put(
      '/admin/retention/policies/:table',
      operation({
        summary: 'Change how long a table keeps its rows',
        description: 'Parameters may stand in the query or in the body. A policy that is not active deletes nothing.',
        tag: 'retention',
        needs: ADMIN,
        path: { table: { description: 'the table', values: RETENTION_TABLES } },
        query: PolicyChange,
        body: PolicyChange,
        answers: { 200: { description: 'The policy as it is now', shape: 'PolicyChanged' } },
        refusals: ['malformed', 'too_large', 'invalid'],
      }),
      async (c) => {
        const { keyId: by } = requireScope(c, dependencies, ADMIN);
        const table = known(c.req.param('table'));
        const { retention_days: retentionDays, is_active: isActive } = await readParameters(c, PolicyChange);
        if (retentionDays === undefined && isActive === undefined) {
          throw new Refusal('invalid', 'Give retention_days (1 to 3650), is_active, or both.');
        }
        const change = {
          ...(retentionDays === undefined ? undefined : { retentionDays }),
          ...(isActive === undefined ? undefined : { isActive }),
        };
        const policy = await retention.update(table, change, clock.now());
        log.info({ by, table, retentionDays: policy.retentionDays, isActive: policy.isActive }, 'retention changed');
        const { timestamp_column: _column, ...fields } = policyJson(policy);
        return c.json({ status: 'success', message: `Retention of ${policy.table} changed.`, ...fields });
      },
    )
    .get(
      '/admin/retention/preview',
      operation({
        summary: 'What a clean-up would delete now',
        tag: 'retention',
        needs: ADMIN,
        query: OneTable,
        answers: { 200: { description: 'By table', shape: 'Previews' } },
        refusals: ['malformed', 'invalid'],
      }),
      async (c) => {
        requireScope(c, dependencies, ADMIN);
        const { table_name: table } = await readParameters(c, OneTable);
        return c.json(await retention.preview(clock.now(), table));
      },
    )
    .post(
      '/admin/retention/cleanup',
      operation({
        summary: 'Delete now what is past its retention, as the schedule would',
        description:
          'Parameters may stand in the query or in the body. Ends early when the client goes away. With `Accept: application/x-ndjson` lines of `progress` come until the `result`.',
        tag: 'retention',
        needs: ADMIN,
        query: CleanupRequest,
        body: CleanupRequest,
        answers: { 200: { description: 'One table where table_name is given, else all', shape: 'Cleaned' } },
        lines: true,
        refusals: ['malformed', 'too_large', 'invalid'],
      }),
      async (c) => {
        const { keyId: by } = requireScope(c, dependencies, ADMIN);
        const { table_name: table, dry_run: dryRun = false } = await readParameters(c, CleanupRequest);
        const run = async (signal: AbortSignal, onProgress?: CleanupOptions['onProgress']): Promise<object> => {
          const report = await retention.cleanup({
            ...(table === undefined ? undefined : { table }),
            ...(onProgress === undefined ? undefined : { onProgress }),
            dryRun,
            now: clock.now(),
            signal,
          });
          const { totalDeleted: deleted, cancelled, longestHoldMs } = report;
          const holdMs = Math.round(longestHoldMs * 10) / 10;
          log.info(
            { by, table: table ?? 'all', dryRun, deleted, cancelled, longestHoldMs: holdMs },
            'clean-up on demand',
          );
          return cleanupJson(report, table, dryRun);
        };
        if (!(c.req.header('accept') ?? '').includes(NDJSON)) return c.json(await run(c.req.raw.signal));
        return progressLines(c, async (progress, signal) =>
          run(signal, ({ phase, deletedRows, totalRows }) =>
            progress({ done: deletedRows, total: totalRows, what: phase }),
          ),
        );
      },
    );
}

function cleanupJson(report: CleanupReport, table: RetentionTable | undefined, dryRun: boolean): object {
  const [only] = report.tables;
  const hold = { longest_hold_ms: Math.round(report.longestHoldMs * 10) / 10 };
  if (table !== undefined && only !== undefined) return { ...only, ...hold };
  return {
    status: report.cancelled ? 'cancelled' : 'completed',
    tables: Object.fromEntries(report.tables.map((each) => [each.table, each])),
    total_records_deleted: report.totalDeleted,
    duration_seconds: report.durationSeconds,
    ...hold,
    dry_run: dryRun,
  };
}

/** 400, not 404: what deployed scripts expect of an unknown table. */
function known(table: string): RetentionTable {
  if (isRetentionTable(table)) return table;
  throw new Refusal('malformed', `Unknown table; there are ${RETENTION_TABLES.join(', ')}.`);
}

const TIMESTAMP_COLUMNS: Partial<Readonly<Record<RetentionTable, string>>> = {
  metrics_hourly: 'hour',
  metrics_daily: 'day',
};

const policyJson = (policy: RetentionPolicy) => ({
  table_name: policy.table,
  retention_days: policy.retentionDays,
  is_active: policy.isActive,
  timestamp_column: TIMESTAMP_COLUMNS[policy.table] ?? 'timestamp',
});
