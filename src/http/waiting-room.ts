/** Stands on the gateway's port while the gateway cannot start: says why to whoever asks, and refuses the rest for now. */
import { Hono } from 'hono';
import { Refusal } from '../core/refusal.ts';
import { SECURITY_HEADERS } from '../core/security-headers.ts';
import { send } from './answer.ts';
import type { HttpDependencies } from './dependencies.ts';
import { healthRoutes } from './health.ts';
import { type Problem, problemOf } from './problem.ts';
import { newRequestId } from './request-id.ts';
import { listen, type Listener, type ListenOptions } from './server.ts';

const RETRY_AFTER_SECONDS = 5;

/** @param about what the health routes say; `ready` is false */
export function openWaitingRoom(
  about: Pick<HttpDependencies, 'name' | 'version' | 'readiness'>,
  options: ListenOptions | undefined,
): Promise<Listener> {
  const refuse = (): Problem =>
    problemOf(
      new Refusal('overloaded', `The gateway is not up yet: ${about.readiness().problems.join('; ')}. Try again.`, {
        retryAfterSeconds: RETRY_AFTER_SECONDS,
      }),
      newRequestId(),
    );
  const app = new Hono();
  app.use(async (c, next) => {
    for (const [name, value] of SECURITY_HEADERS) c.header(name, value);
    await next();
  });
  app.route('/', healthRoutes(about));
  app.notFound((c) => {
    const { status, headers, body } = refuse();
    return c.newResponse(body, status as 503, { ...Object.fromEntries(SECURITY_HEADERS), ...headers });
  });
  const ingest: Parameters<typeof listen>[0]['ingest'] = (incoming, outgoing) => {
    const { status, headers, body } = refuse();
    send(incoming, outgoing, status, [...SECURITY_HEADERS.flat(), ...Object.entries(headers).flat()], body);
  };
  return listen({ fetch: app.fetch, ingest }, options);
}
