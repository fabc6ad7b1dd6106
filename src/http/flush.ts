/** `POST /flush`: writes what waits in the deliveries now, and answers when that is done. */
import { Hono } from 'hono';
import type { AppEnv } from './app-env.ts';
import { ANY_SCOPE, requireScope } from './caller.ts';
import type { HttpDependencies } from './dependencies.ts';
import { operation } from './operation.ts';

export function flushRoute(dependencies: HttpDependencies): Hono<AppEnv> {
  return new Hono<AppEnv>().post(
    '/flush',
    operation({
      summary: 'Write what waits in the deliveries now',
      description: 'Answers when it is done.',
      tag: 'gateway',
      needs: ANY_SCOPE,
      answers: { 200: { description: 'All of it is written', shape: 'Done' } },
      refusals: ['overloaded'],
    }),
    async (c) => {
      requireScope(c, dependencies, ANY_SCOPE);
      await dependencies.flush();
      return c.json({ status: 'success', message: 'All accepted metrics have been written.' });
    },
  );
}
