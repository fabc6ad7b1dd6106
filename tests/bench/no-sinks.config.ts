/** The gateway with one sink that does nothing: what the HTTP thread and the journal do while all deliveries are idle. */
import { auth, buffer, definePipeline, enrich, environment, rateLimit, validate } from 'mcp-metrics-gateway';

const env = environment();

export default definePipeline({
  server: { host: env.host, port: env.port },
  databasePath: env.databasePath,
  environmentKeys: env.apiKeys,
  processors: [auth(), rateLimit({ perMinute: env.requestsPerMinute }), validate(), enrich(), buffer()],
  sinks: [{ name: 'nothing', whenFull: 'skip', releasesRecords: true, write: () => Promise.resolve() }],
});
