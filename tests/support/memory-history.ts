/** A history in memory, for tests of what HTTP makes of it. */
import type { History, RetentionPolicy } from '../../src/core/history.ts';

export const DAY_MS = 86_400_000;
export const START = Date.UTC(2026, 0, 1);

export function memoryHistory(): History & { readonly cleanups: { table: string | undefined; dryRun: boolean }[] } {
  const policies = new Map<string, RetentionPolicy>(
    ['metrics', 'metrics_hourly'].map((table) => [
      table,
      { table, retentionDays: 90, isActive: true, timestampColumn: 'timestamp' },
    ]),
  );
  const cleanups: { table: string | undefined; dryRun: boolean }[] = [];
  const chosen = (table: string | undefined): RetentionPolicy[] | undefined => {
    if (table === undefined) return [...policies.values()];
    const policy = policies.get(table);
    return policy === undefined ? undefined : [policy];
  };
  return {
    cleanups,
    policies: () => Promise.resolve([...policies.values()]),
    setPolicy: (table, change) => {
      const policy = policies.get(table);
      if (policy === undefined) return Promise.resolve(undefined);
      const changed = { ...policy, ...change };
      policies.set(table, changed);
      return Promise.resolve(changed);
    },
    preview: (table) =>
      Promise.resolve(
        chosen(table)?.map((policy) => ({
          table: policy.table,
          retentionDays: policy.retentionDays,
          recordsToDelete: 1,
          totalRecords: 3,
          oldestRecordToDelete: START,
          newestRecordToDelete: START,
          cutoff: START + DAY_MS,
        })),
      ),
    cleanup: (table, dryRun) => {
      cleanups.push({ table, dryRun });
      return Promise.resolve(
        chosen(table)?.map((policy) => ({
          table: policy.table,
          status: dryRun ? ('dry_run' as const) : ('completed' as const),
          records: 7,
          durationMs: 1500,
          retentionDays: policy.retentionDays,
        })),
      );
    },
    stats: () =>
      Promise.resolve([
        {
          table: 'metrics',
          recordCount: 3,
          oldestRecord: START,
          newestRecord: START + DAY_MS,
          policy: { retentionDays: 90, isActive: true },
        },
        { table: 'api_keys', recordCount: 0 },
      ]),
    size: () =>
      Promise.resolve({
        mainBytes: 3 * 1024 * 1024,
        walBytes: 1024 * 1024,
        pageCount: 768,
        pageSize: 4096,
        freePages: 192,
      }),
    queries: [
      {
        name: 'count-up',
        description: 'Numbers in order',
        parameters: {
          from: { type: 'timestamp', description: 'not before' },
          limit: { type: 'integer', description: 'rows a page', default: 2, minimum: 1, maximum: 100 },
          cursor: { type: 'string', description: 'where to go on' },
          kind: { type: 'string', description: 'what to count', values: ['even', 'odd'] },
          exact: { type: 'boolean', description: 'whether to be exact', default: false },
        },
        columns: {
          n: { type: 'integer', description: 'the number' },
          from: { type: 'timestamp', description: 'as given' },
        },
        run: ({ limit, cursor, from, exact }) => {
          const first = Number(cursor ?? 0);
          const end = Math.min(5, first + Number(limit));
          const rows = Array.from({ length: end - first }, (_, at) => ({ n: first + at, from: from ?? null, exact }));
          return Promise.resolve(end < 5 ? { rows, cursor: String(end) } : { rows });
        },
      },
    ],
  };
}
