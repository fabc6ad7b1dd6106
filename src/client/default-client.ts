/** The client that instrumentation uses when it is given none: one per process, made from the environment. */
import { createMetricsClient } from './client.ts';
import type { MetricsClient } from './client.ts';

/** Shared by the package's CommonJS and ES module copies, so that a process never has two. */
const SLOT = Symbol.for('mcp-metrics-client.default');

export function defaultMetricsClient(): MetricsClient {
  const slots = globalThis as { [SLOT]?: MetricsClient };
  return (slots[SLOT] ??= createMetricsClient());
}
