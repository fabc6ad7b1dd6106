/** Plugins for Fastify 5: `await app.register(authMetrics())`, from `mcp-metrics-client/fastify`. */
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

/** Fastify's request, as far as it is used here. */
export interface FastifyRequestLike {
  readonly raw: NodeRequest;
}

type OnRequest = (request: FastifyRequestLike, reply: { readonly raw: NodeResponse }, done: () => void) => void;

interface FastifyLike {
  readonly addHook: (name: 'onRequest', hook: OnRequest) => unknown;
}

export type FastifyPluginLike = (instance: FastifyLike, options: unknown, done: () => void) => void;

/** The hook is for the instance that the plugin is registered with, not for a context of its own (as `fastify-plugin` does). */
const plugin = (report: Report<FastifyRequestLike>): FastifyPluginLike =>
  Object.assign(
    (instance: FastifyLike, _options: unknown, done: () => void) => {
      instance.addHook('onRequest', (request, reply, next) => {
        observeNode(request.raw, reply.raw, request, report);
        next();
      });
      done();
    },
    { [Symbol.for('skip-override')]: true },
  );

/** Records an `auth_request` for each request. */
export const authMetrics = (options?: AuthMetricsOptions<FastifyRequestLike>): FastifyPluginLike =>
  plugin(authReport(options));
/** Records a `registry_operation` for each request. */
export const registryMetrics = (options?: RegistryMetricsOptions<FastifyRequestLike>): FastifyPluginLike =>
  plugin(registryReport(options));
/** Records a `tool_discovery` for each request. */
export const discoveryMetrics = (options?: DiscoveryMetricsOptions<FastifyRequestLike>): FastifyPluginLike =>
  plugin(discoveryReport(options));
