/** The gateway as it ships, but for how many metrics a request may have: a body of 10 MiB of recorded ones has 26,000. */
import {
  auth,
  buffer,
  definePipeline,
  enrich,
  environment,
  otlp,
  prometheus,
  rateLimit,
  sqlite,
  validate,
} from 'mcp-metrics-gateway';

const env = environment();

export default definePipeline({
  server: { host: env.host, port: env.port },
  databasePath: env.databasePath,
  environmentKeys: env.apiKeys,
  processors: [
    auth(),
    rateLimit({ perMinute: env.requestsPerMinute }),
    validate({ maxBodyBytes: env.maxBodyBytes, maxMetrics: 100_000 }),
    enrich(),
    buffer(),
  ],
  sinks: [
    sqlite({ path: env.databasePath, flushIntervalMs: env.flushIntervalMs }),
    prometheus(env.prometheus),
    otlp({ endpoint: env.otlpEndpoint }),
  ],
});
