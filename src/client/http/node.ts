/** Middleware for plain `node:http`, Connect and Express: `mcp-metrics-client/node`, `mcp-metrics-client/express`. */
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

/** Call it first in a request listener, or `app.use` it. */
export type NodeMiddleware = (request: NodeRequest, response: NodeResponse, next?: () => void) => void;

const middleware =
  (report: Report<object>): NodeMiddleware =>
  (request, response, next) => {
    observeNode(request, response, request, report);
    next?.();
  };

/** Records an `auth_request` for each request. */
export const authMetrics = (options?: AuthMetricsOptions): NodeMiddleware => middleware(authReport(options));
/** Records a `registry_operation` for each request. */
export const registryMetrics = (options?: RegistryMetricsOptions): NodeMiddleware =>
  middleware(registryReport(options));
/** Records a `tool_discovery` for each request. */
export const discoveryMetrics = (options?: DiscoveryMetricsOptions): NodeMiddleware =>
  middleware(discoveryReport(options));
