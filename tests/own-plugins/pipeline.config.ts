/** The shipped pipeline with a stage and a sink of a user's own. `NDJSON_PATH` names the sink's file. */
import {
  auth,
  buffer,
  definePipeline,
  enrich,
  environment,
  prometheus,
  rateLimit,
  sqlite,
  validate,
} from 'mcp-metrics-gateway';
import { ndjson } from './ndjson.ts';
import { redact } from './redact.ts';

const env = environment();

export default definePipeline({
  server: { host: env.host, port: env.port },
  databasePath: env.databasePath,
  environmentKeys: env.apiKeys,
  processors: [auth(), rateLimit(), validate(), enrich(), redact('user_hash', 'request_id'), buffer()],
  sinks: [
    sqlite({ path: env.databasePath }),
    prometheus(env.prometheus),
    ndjson(process.env['NDJSON_PATH'] ?? './events.ndjson'),
  ],
});
