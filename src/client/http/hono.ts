/** Middleware for Hono, on whatever runtime: `mcp-metrics-client/hono`. Bodies are not touched, errors are thrown on. */
import { monotonicNow } from '../runtime.ts';
import { authReport } from './auth-report.ts';
import type { AuthMetricsOptions } from './auth-report.ts';
import { discoveryReport } from './discovery-report.ts';
import type { DiscoveryMetricsOptions } from './discovery-report.ts';
import type { Report } from './exchange.ts';
import { onAnswerEnd, onAnswerHead } from './observe-node.ts';
import type { Ending, NodeResponse } from './observe-node.ts';
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

/** Node's own response, which `@hono/node-server` hands over. */
function nodeResponse({ env }: HonoContext): NodeResponse | undefined {
  const { outgoing } = (env ?? {}) as { outgoing?: NodeResponse };
  return typeof outgoing?.on === 'function' ? outgoing : undefined;
}

const middleware =
  (report: Report<HonoContext>): HonoMiddleware =>
  async (context, next) => {
    const startedAt = monotonicNow();
    const outgoing = nodeResponse(context);
    let reportAs: ((ending: Ending) => void) | undefined;
    let ended: Ending | undefined;
    if (outgoing !== undefined) {
      const end = (ending: Ending): void => {
        ended ??= ending;
        reportAs?.(ended);
      };
      onAnswerHead(outgoing, (_, isStream) => {
        if (isStream) end('whole');
      });
      onAnswerEnd(outgoing, end);
    }
    let threw = true;
    try {
      await next();
      threw = false;
    } finally {
      const durationMs = monotonicNow() - startedAt;
      // Reading `res` before there is one would make one.
      const response = !threw && context.finalized ? context.res : undefined;
      reportAs = (ending) => {
        reportAs = undefined;
        report({
          method: context.req.method,
          url: context.req.url.replace(/^[^/]*\/\/[^/]*/, ''),
          route: context.req.routePath,
          requestHeader: (name) => context.req.header(name),
          responseHeader: (name) => response?.headers.get(name) ?? undefined,
          status: ending === 'broken' ? 0 : (response?.status ?? 0),
          aborted: ending === 'aborted',
          durationMs,
          raw: context,
        });
      };
      // In Node the end of the body decides; elsewhere nothing tells of it without standing in the answer's way. The answer's
      // headers are not looked at before it is sent: `@hono/node-server` only makes them when asked, and sends more slowly then.
      if (outgoing === undefined) reportAs(context.req.raw.signal?.aborted === true ? 'aborted' : 'whole');
      else if (ended !== undefined) reportAs(ended);
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
