/** Middleware for Koa: `mcp-metrics-client/koa`. It stands in no error's way. */
import { authReport } from './auth-report.ts';
import type { AuthMetricsOptions } from './auth-report.ts';
import { discoveryReport } from './discovery-report.ts';
import type { DiscoveryMetricsOptions } from './discovery-report.ts';
import type { Report } from './exchange.ts';
import { observeNode } from './observe-node.ts';
import type { NodeRequest, NodeResponse } from './observe-node.ts';
import { registryReport } from './registry-report.ts';
import type { RegistryMetricsOptions } from './registry-report.ts';

export { annotateMetrics } from './exchange.ts';
export type { Annotation, Exchange } from './exchange.ts';
export type { AuthMetricsOptions } from './auth-report.ts';
export type { DiscoveryMetricsOptions } from './discovery-report.ts';
export type { RegistryMetricsOptions } from './registry-report.ts';

/** Koa's context, as far as it is used here. */
export interface KoaContext {
  readonly req: NodeRequest;
  readonly res: NodeResponse;
}

export type KoaMiddleware = (context: KoaContext, next: () => Promise<unknown>) => Promise<unknown>;

const middleware =
  (report: Report<KoaContext>): KoaMiddleware =>
  (context, next) => {
    observeNode(context.req, context.res, context, report);
    return next();
  };

/** Records an `auth_request` for each request. */
export const authMetrics = (options?: AuthMetricsOptions<KoaContext>): KoaMiddleware => middleware(authReport(options));
/** Records a `registry_operation` for each request. */
export const registryMetrics = (options?: RegistryMetricsOptions<KoaContext>): KoaMiddleware =>
  middleware(registryReport(options));
/** Records a `tool_discovery` for each request. */
export const discoveryMetrics = (options?: DiscoveryMetricsOptions<KoaContext>): KoaMiddleware =>
  middleware(discoveryReport(options));
