/** `GET /rate-limit`: where the caller's key stands, without taking a token. */
import { Hono } from 'hono';
import type { AppEnv } from './app-env.ts';
import { ANY_SCOPE, requireScope } from './caller.ts';
import type { HttpDependencies } from './dependencies.ts';
import { operation } from './operation.ts';

export function rateLimitRoute(dependencies: HttpDependencies): Hono<AppEnv> {
  return new Hono<AppEnv>().get(
    '/rate-limit',
    operation({
      summary: 'Where the key stands, without taking a token',
      tag: 'gateway',
      needs: ANY_SCOPE,
      answers: { 200: { description: 'The state of its bucket', shape: 'RateLimit' } },
    }),
    (c) => {
      const client = requireScope(c, dependencies, ANY_SCOPE);
      const { limit, tokens, fullMs } = dependencies.rateLimitState(client);
      return c.json({
        service: client.service,
        rate_limit: limit,
        available_tokens: Math.floor(tokens + 1e-6),
        reset_time_seconds: Math.ceil(fullMs / 1000),
      });
    },
  );
}
