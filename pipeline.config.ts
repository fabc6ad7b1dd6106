/**
 * The gateway, in the order in which data flows: edit it and restart. Every option of every stage and sink, with its
 * default, is in docs/configuration.md; the environment variables are read here and nowhere else.
 */
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
  retentionDays: env.retentionDays,

  processors: [
    auth(),
    rateLimit({ perMinute: env.requestsPerMinute }),
    validate({ maxBodyBytes: env.maxBodyBytes }),
    enrich(),
    // Stages of your own stand here: they see, change or drop events before anything is written.
    buffer({ durability: 'disk' }),
  ],

  sinks: [
    sqlite({ path: env.databasePath, flushIntervalMs: env.flushIntervalMs }),
    prometheus(env.prometheus),
    otlp({ endpoint: env.otlpEndpoint }),
    // A sink of your own is one line here; see "Add a sink" in README.md.
  ],

  totals: {
    histogramBoundaries: env.histogramBoundaries,
    resource: { 'service.name': env.serviceName },
  },
});
