/** What a service installs: `mcp-metrics-gateway/client`, or the package `mcp-metrics-client`, which is the same. */
export { createMetricsClient } from './client.ts';
export type { MetricsClient } from './client.ts';
export { defaultMetricsClient } from './default-client.ts';
export type { MetricsClientOptions } from './options.ts';
export type { ClientStats } from './stats.ts';
export type {
  AuthRequestFields,
  CommonFields,
  CustomFields,
  DimensionValue,
  HealthCheckFields,
  Json,
  ProtocolLatencyFields,
  RegistryOperationFields,
  ToolDiscoveryFields,
  ToolExecutionFields,
} from './metric-fields.ts';
