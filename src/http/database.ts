/** `/admin/database`: how much is kept, since when, and what it takes on disk. */
import { Hono } from 'hono';
import type { AppEnv } from './app-env.ts';
import { requireScope } from './caller.ts';
import type { HttpDependencies } from './dependencies.ts';
import { operation } from './operation.ts';

const READERS = ['read', 'admin'] as const;

export function databaseRoutes(dependencies: HttpDependencies): Hono<AppEnv> {
  const { retention } = dependencies;
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
        return c.json(await retention.stats());
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
        return c.json(await retention.size());
      },
    );
}
