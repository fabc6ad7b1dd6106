/** `POST /flush`: writes what waits in the deliveries now, and answers when that is done. */
import { Hono } from 'hono';
import type { AppEnv } from './app-env.ts';
import { ANY_SCOPE, requireScope } from './caller.ts';
import type { HttpDependencies } from './dependencies.ts';

export function flushRoute(dependencies: HttpDependencies): Hono<AppEnv> {
  return new Hono<AppEnv>().post('/flush', async (c) => {
    requireScope(c, dependencies, ANY_SCOPE);
    await dependencies.flush();
    return c.json({ status: 'success', message: 'All accepted metrics have been written.' });
  });
}
