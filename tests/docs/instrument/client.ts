import { createMetricsClient } from 'mcp-metrics-gateway/client';

const metrics = createMetricsClient({ service: 'weather-jobs', version: '1.4.0' });

const began = performance.now();
// … the work …
metrics.toolExecution({
  toolName: 'get_forecast',
  success: true,
  durationMs: performance.now() - began,
  serverName: 'weather',
  userHash: metrics.hashUser('alice@example.org'),
});
metrics.healthCheck({ endpoint: '/mcp', healthy: true, statusCode: 200, durationMs: 12 });
metrics.custom('forecast_cache_lookups', { dimensions: { hit: true } });

// A program that runs to its end sends what is left by itself; one that is stopped by a signal says when.
process.once('SIGTERM', () => {
  metrics.shutdown().then(() => process.exit(0), console.error);
});
