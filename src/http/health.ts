/** What a person, a load balancer and an orchestrator ask first: what is this, does it live, may I send? */
import { Hono } from 'hono';
import type { AppEnv } from './app-env.ts';
import type { HttpDependencies } from './dependencies.ts';

/** Name → path, as `GET /` tells them. */
const ENDPOINTS = {
  metrics: '/metrics',
  flush: '/flush',
  'rate-limit': '/rate-limit',
  health: '/health',
  livez: '/livez',
  readyz: '/readyz',
} as const;

export function healthRoutes({ name, version, readiness }: HttpDependencies): Hono<AppEnv> {
  return new Hono<AppEnv>()
    .get('/', (c) => c.json({ service: name, version, status: 'running', endpoints: ENDPOINTS }))
    .get('/health', (c) => {
      const { ready, problems } = readiness();
      // Deployed probes read 200 and `status`: a gateway that still answers is healthy to them, if degraded.
      return c.json({
        status: ready && problems.length === 0 ? 'healthy' : 'degraded',
        service: 'metrics-collection',
        version,
        ...(problems.length === 0 ? undefined : { problems }),
      });
    })
    .get('/livez', (c) => c.json({ status: 'live' }))
    .get('/readyz', (c) => {
      const { ready, problems } = readiness();
      // A sink in trouble is named, and takes nobody out of service: the journal takes what it cannot.
      const named = problems.length === 0 ? undefined : { problems };
      return ready ? c.json({ status: 'ready', ...named }) : c.json({ status: 'not ready', ...named }, 503);
    });
}
