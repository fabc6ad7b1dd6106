/** `/admin/database`: how much is kept, since when, and what it takes on disk. */
import { Hono } from 'hono';
import type { History } from '../core/history.ts';
import type { AppEnv } from './app-env.ts';
import { requireScope } from './caller.ts';
import type { HttpDependencies } from './dependencies.ts';
import { operation } from './operation.ts';

const READERS = ['read', 'admin'] as const;
const MEGABYTE = 1024 * 1024;

export function databaseRoutes(dependencies: HttpDependencies, history: History): Hono<AppEnv> {
  return new Hono<AppEnv>()
    .get(
      '/admin/database/stats',
      operation({
        summary: 'Rows of each table, from when to when',
        tag: 'database',
        needs: READERS,
        answers: { 200: { description: 'By table', shape: 'DatabaseStats' } },
      }),
      async (c) => {
        requireScope(c, dependencies, READERS);
        return c.json(
          Object.fromEntries(
            (await history.stats()).map(({ table, recordCount, oldestRecord, newestRecord, policy }) => [
              table,
              {
                record_count: recordCount,
                oldest_record: isoOf(oldestRecord),
                newest_record: isoOf(newestRecord),
                has_retention_policy: policy !== undefined,
                retention_days: policy?.retentionDays ?? null,
                policy_active: policy?.isActive ?? null,
              },
            ]),
          ),
        );
      },
    )
    .get(
      '/admin/database/size',
      operation({
        summary: 'Bytes and pages of the database',
        tag: 'database',
        needs: READERS,
        answers: { 200: { description: 'The size', shape: 'DatabaseSize' } },
      }),
      async (c) => {
        requireScope(c, dependencies, READERS);
        const { mainBytes, walBytes, pageCount, pageSize, freePages } = await history.size();
        const total = mainBytes + walBytes;
        const used = pageCount - freePages;
        return c.json({
          main_db_bytes: mainBytes,
          main_db_mb: rounded(mainBytes / MEGABYTE),
          wal_bytes: walBytes,
          wal_mb: rounded(walBytes / MEGABYTE),
          total_bytes: total,
          total_mb: rounded(total / MEGABYTE),
          total_gb: rounded(total / MEGABYTE / 1024),
          page_count: pageCount,
          page_size: pageSize,
          free_pages: freePages,
          used_pages: used,
          database_efficiency: pageCount === 0 ? 100 : rounded((used / pageCount) * 100),
        });
      },
    );
}

const isoOf = (time: number | undefined): string | null => (time === undefined ? null : new Date(time).toISOString());
const rounded = (value: number): number => Math.round(value * 100) / 100;
