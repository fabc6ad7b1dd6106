/** `/admin/retention`: how long tables keep their rows, what would go, and the clean-up on demand. */
import { Hono } from 'hono';
import type { CleanupResult, History, RetentionPolicy } from '../core/history.ts';
import { Refusal } from '../core/refusal.ts';
import { CleanupRequest, OneTable, PolicyChange } from './answers.ts';
import type { AppEnv } from './app-env.ts';
import { requireScope } from './caller.ts';
import type { HttpDependencies } from './dependencies.ts';
import { operation } from './operation.ts';
import { readParameters } from './parameters.ts';

const ADMIN = ['admin'] as const;

export function retentionRoutes(dependencies: HttpDependencies, history: History): Hono<AppEnv> {
  const { log, clock } = dependencies;
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
        return c.json(
          Object.fromEntries((await history.policies()).map((policy) => [policy.table, policyJson(policy)])),
        );
      },
    )
    .put(
      '/admin/retention/policies/:table',
      operation({
        summary: 'Change how long a table keeps its rows',
        description: 'Parameters may stand in the query or in the body. A policy that is not active deletes nothing.',
        tag: 'retention',
        needs: ADMIN,
        path: { table: 'a table that GET /admin/retention/policies lists' },
        query: PolicyChange,
        body: PolicyChange,
        answers: { 200: { description: 'The policy as it is now', shape: 'PolicyChanged' } },
        refusals: ['malformed', 'too_large', 'invalid'],
      }),
      async (c) => {
        const { keyId: by } = requireScope(c, dependencies, ADMIN);
        const { retention_days: retentionDays, is_active: isActive } = await readParameters(c, PolicyChange);
        if (retentionDays === undefined && isActive === undefined) {
          throw new Refusal('invalid', 'Give retention_days (1 to 3650), is_active, or both.');
        }
        const table = c.req.param('table');
        const policy = await history.setPolicy(table, {
          ...(retentionDays === undefined ? undefined : { retentionDays }),
          ...(isActive === undefined ? undefined : { isActive }),
        });
        if (policy === undefined) throw unknownTable();
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
        refusals: ['malformed', 'too_large', 'invalid'],
      }),
      async (c) => {
        requireScope(c, dependencies, ADMIN);
        const { table_name: table } = await readParameters(c, OneTable);
        const previews = await history.preview(table);
        if (previews === undefined) throw unknownTable();
        return c.json(
          Object.fromEntries(
            previews.map((preview) => [
              preview.table,
              {
                retention_days: preview.retentionDays,
                records_to_delete: preview.recordsToDelete,
                total_records: preview.totalRecords,
                oldest_record_to_delete: isoOf(preview.oldestRecordToDelete),
                newest_record_to_delete: isoOf(preview.newestRecordToDelete),
                cutoff_date: isoOf(preview.cutoff),
                percentage_to_delete: percent(preview.recordsToDelete, preview.totalRecords),
              },
            ]),
          ),
        );
      },
    )
    .post(
      '/admin/retention/cleanup',
      operation({
        summary: 'Delete now what is past its retention, as the schedule would',
        description:
          'Parameters may stand in the query or in the body. Ends early, and says so, when the client goes away.',
        tag: 'retention',
        needs: ADMIN,
        query: CleanupRequest,
        body: CleanupRequest,
        answers: { 200: { description: 'One table where table_name is given, else all', shape: 'Cleaned' } },
        refusals: ['malformed', 'too_large', 'invalid'],
      }),
      async (c) => {
        const { keyId: by } = requireScope(c, dependencies, ADMIN);
        const { table_name: table, dry_run: dryRun = false } = await readParameters(c, CleanupRequest);
        const started = clock.monotonic();
        const results = await history.cleanup(table, dryRun, c.req.raw.signal);
        if (results === undefined) throw unknownTable();
        const total = results.reduce((sum, { records }) => sum + records, 0);
        log.info({ by, table: table ?? 'all', dryRun, records: total }, 'clean-up on demand');
        const [only] = results;
        if (table !== undefined && only !== undefined) return c.json(cleanupJson(only));
        const cancelled = results.some(({ status }) => status === 'cancelled');
        return c.json({
          status: cancelled ? 'cancelled' : dryRun ? 'dry_run' : 'completed',
          tables: Object.fromEntries(results.map((result) => [result.table, cleanupJson(result)])),
          total_records_deleted: total,
          duration_seconds: (clock.monotonic() - started) / 1000,
        });
      },
    );
}

// 400, not 404: what deployed scripts expect of an unknown table.
const unknownTable = (): Refusal =>
  new Refusal('malformed', 'Unknown table; GET /admin/retention/policies lists those that have a policy.');

const policyJson = (policy: RetentionPolicy) => ({
  table_name: policy.table,
  retention_days: policy.retentionDays,
  is_active: policy.isActive,
  timestamp_column: policy.timestampColumn,
});

const cleanupJson = (result: CleanupResult) => ({
  table: result.table,
  status: result.status,
  records_deleted: result.records,
  duration_seconds: result.durationMs / 1000,
  retention_days: result.retentionDays,
});

const isoOf = (time: number | undefined): string | null => (time === undefined ? null : new Date(time).toISOString());
const percent = (part: number, whole: number): number => (whole === 0 ? 0 : Math.round((part / whole) * 10_000) / 100);
