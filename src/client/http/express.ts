/** Middleware for Express 5 (and 4): `mcp-metrics-client/express`. Errors go on to the error handlers. */
export { annotateMetrics, authMetrics, discoveryMetrics, registryMetrics } from './node.ts';
export type {
  Annotation,
  AuthMetricsOptions,
  DiscoveryMetricsOptions,
  Exchange,
  NodeMiddleware,
  RegistryMetricsOptions,
} from './node.ts';
