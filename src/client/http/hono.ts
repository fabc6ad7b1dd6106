/** Middleware for Hono, on whatever runtime: `mcp-metrics-client/hono`. Bodies are not touched, errors are thrown on. */
import { monotonicNow } from '../runtime.ts';
import { authReport } from './auth-report.ts';
import type { AuthMetricsOptions } from './auth-report.ts';
import { discoveryReport } from './discovery-report.ts';
import type { DiscoveryMetricsOptions } from './discovery-report.ts';
import type { Report } from './exchange.ts';
import { registryReport } from './registry-report.ts';
import type { RegistryMetricsOptions } from './registry-report.ts';

export { annotateMetrics } from './exchange.ts';
export type { Annotation, Exchange } from './exchange.ts';
export type { AuthMetricsOptions } from './auth-report.ts';
export type { DiscoveryMetricsOptions } from './discovery-report.ts';
export type { RegistryMetricsOptions } from './registry-report.ts';

/** Hono's context, as far as it is used here. */
export interface HonoContext {
  readonly req: {
    readonly method: string;
    readonly url: string;
    readonly raw: Request;
    readonly routePath?: string;
    readonly header: (name: string) => string | undefined;
  };
  readonly res: Response;
  readonly finalized: boolean;
  readonly env: unknown;
}

export type HonoMiddleware = (context: HonoContext, next: () => Promise<void>) => Promise<void>;

/** `@hono/node-server` hands Node's own response over; asking it is cheaper than its request's signal. */
function isAborted(context: HonoContext): boolean {
  const { env } = context;
  if (typeof env === 'object' && env !== null && 'outgoing' in env) {
    return (env as { outgoing?: { destroyed?: boolean } }).outgoing?.destroyed === true;
  }
  return context.req.raw.signal?.aborted === true;
}

const middleware =
  (report: Report<HonoContext>): HonoMiddleware =>
  async (context, next) => {
    const startedAt = monotonicNow();
    let threw = true;
    try {
      await next();
      threw = false;
    } finally {
      const durationMs = monotonicNow() - startedAt;
      // Reading `res` before there is one would make one.
      const response = !threw && context.finalized ? context.res : undefined;
      report({
        method: context.req.method,
        url: context.req.url.replace(/^[^/]*\/\/[^/]*/, ''),
        route: context.req.routePath,
        requestHeader: (name) => context.req.header(name),
        responseHeader: (name) => response?.headers.get(name) ?? undefined,
        status: response?.status ?? 0,
        aborted: isAborted(context),
        durationMs,
        raw: context,
      });
    }
  };

/** Records an `auth_request` for each request. */
export const authMetrics = (options?: AuthMetricsOptions<HonoContext>): HonoMiddleware =>
  middleware(authReport(options));
/** Records a `registry_operation` for each request. */
export const registryMetrics = (options?: RegistryMetricsOptions<HonoContext>): HonoMiddleware =>
  middleware(registryReport(options));
/** Records a `tool_discovery` for each request. */
export const discoveryMetrics = (options?: DiscoveryMetricsOptions<HonoContext>): HonoMiddleware =>
  middleware(discoveryReport(options));
