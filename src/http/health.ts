/** What a person, a load balancer and an orchestrator ask first: what is this, does it live, may I send? */
import { Hono } from 'hono';
import type { AppEnv } from './app-env.ts';
import type { HttpDependencies } from './dependencies.ts';
import { operation } from './operation.ts';

/** Name → path, as `GET /` tells them. */
const ENDPOINTS = {
  metrics: '/metrics',
  flush: '/flush',
  'rate-limit': '/rate-limit',
  health: '/health',
  livez: '/livez',
  readyz: '/readyz',
  admin: '/admin/keys',
  query: '/api/v1/query',
  openapi: '/openapi.json',
  docs: '/docs',
} as const;

export function healthRoutes({
  name,
  version,
  readiness,
}: Pick<HttpDependencies, 'name' | 'version' | 'readiness'>): Hono<AppEnv> {
  return new Hono<AppEnv>()
    .get(
      '/',
      operation({
        summary: 'What this is, and what is served',
        tag: 'gateway',
        answers: { 200: { description: 'Name, version, endpoints', shape: 'About' } },
      }),
      (c) => c.json({ service: name, version, status: 'running', endpoints: ENDPOINTS }),
    )
    .get(
      '/health',
      operation({
        summary: 'Whether the gateway answers, and what is degraded',
        tag: 'gateway',
        answers: { 200: { description: 'Its health', shape: 'Health' } },
      }),
      (c) => {
        const { ready, problems } = readiness();
        // Deployed probes read 200 and `status`: a gateway that still answers is healthy to them, if degraded.
        return c.json({
          status: ready && problems.length === 0 ? 'healthy' : 'degraded',
          service: 'metrics-collection',
          version,
          ...(problems.length === 0 ? undefined : { problems }),
        });
      },
    )
    .get(
      '/livez',
      operation({
        summary: 'Whether the process lives',
        tag: 'gateway',
        answers: { 200: { description: 'It does', shape: 'Live' } },
      }),
      (c) => c.json({ status: 'live' }),
    )
    .get(
      '/readyz',
      operation({
        summary: 'Whether metrics should be sent here, and why not',
        tag: 'gateway',
        answers: {
          200: { description: 'Yes', shape: 'Ready' },
          503: { description: 'No: a part is not up, or the gateway is stopping', shape: 'Ready' },
        },
      }),
      (c) => {
        const { ready, problems } = readiness();
        // A sink in trouble is named, and takes nobody out of service: the journal takes what it cannot.
        const named = problems.length === 0 ? undefined : { problems };
        return ready ? c.json({ status: 'ready', ...named }) : c.json({ status: 'not ready', ...named }, 503);
      },
    );
}
