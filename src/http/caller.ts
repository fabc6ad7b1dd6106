/** Who calls a route: what `authenticate` needs of a Hono context. */
import type { Context } from 'hono';
import { routePath } from 'hono/route';
import type { Scope } from '../core/key-store.ts';
import type { Client } from '../core/phases.ts';
import type { AppEnv } from './app-env.ts';
import type { HttpDependencies } from './dependencies.ts';

export const ANY_SCOPE: readonly Scope[] = ['ingest', 'read', 'admin'];

/** @throws Refusal where the key is missing, unknown, or lacks all of the scopes */
export function requireScope(
  c: Context<AppEnv>,
  { authenticate }: Pick<HttpDependencies, 'authenticate'>,
  needed: readonly Scope[],
): Client {
  const headers = { get: (name: string) => c.req.header(name) };
  const remoteAddress = c.env?.incoming?.socket.remoteAddress ?? '';
  return authenticate(headers, remoteAddress, needed, `${c.req.method} ${routePath(c, -1)}`);
}
