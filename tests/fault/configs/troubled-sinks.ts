/**
 * The shipped pipeline with sinks whose mood the test sets while the gateway runs: `TROUBLE_DIR/<sink>.mood` says how the
 * sink behaves now, `<sink>.taken` gets the ids that it took. `TROUBLED` names the sinks: `name:refuse,name:skip`.
 */
import { appendFile, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import {
  type AnySink,
  auth,
  buffer,
  definePipeline,
  enrich,
  environment,
  otlp,
  prometheus,
  rateLimit,
  type Sink,
  sqlite,
  Unacceptable,
  validate,
} from 'mcp-metrics-gateway';

const env = environment();
const { TROUBLE_DIR = '.', TROUBLED = '', MAX_JOURNAL_BYTES, SHUTDOWN_TIMEOUT_MS, OTLP_INTERVAL_MS } = process.env;

/** `ok`, `throw`, `hang` until aborted or in another mood, `deaf` for ever, `slow:<ms per batch>`, `picky:<part of an event id>`. */
const moodOf = async (name: string): Promise<readonly [string, string]> => {
  const text = await readFile(join(TROUBLE_DIR, `${name}.mood`), 'utf8').catch(() => 'ok');
  const [mood = 'ok', detail = ''] = text.trim().split(':');
  return [mood, detail];
};

const troubled = (name: string, whenFull: Sink['whenFull']): Sink => ({
  name,
  whenFull,
  batching: { maxMetrics: 100, maxDelayMs: 50 },
  write: async ({ events }, signal) => {
    const [mood, detail] = await moodOf(name);
    const ids = events.map(({ metadata }) => metadata['event_id'] as string);
    if (mood === 'throw') throw new Error(`${name} is in a bad mood`);
    if (mood === 'deaf') await new Promise(() => {});
    while ((await moodOf(name))[0] === 'hang') await sleep(20, undefined, { signal });
    if (mood === 'slow') await sleep(Number(detail), undefined, { signal });
    if (mood === 'picky' && ids.some((id) => id.includes(detail)))
      throw new Unacceptable(`${name} never takes ${detail}`);
    await appendFile(join(TROUBLE_DIR, `${name}.taken`), ids.map((id) => `${id}\n`).join(''));
  },
});

const sinks = TROUBLED.split(',')
  .filter((text) => text !== '')
  .map((text): Sink => {
    const [name = '', whenFull] = text.split(':');
    return troubled(name, whenFull === 'skip' ? 'skip' : 'refuse');
  });
const shipped: readonly [AnySink, ...AnySink[]] = [
  sqlite({ path: env.databasePath, flushIntervalMs: env.flushIntervalMs }),
  prometheus(env.prometheus),
  otlp({
    endpoint: env.otlpEndpoint,
    ...(OTLP_INTERVAL_MS === undefined ? undefined : { intervalMs: Number(OTLP_INTERVAL_MS) }),
  }),
];

export default definePipeline({
  server: {
    host: env.host,
    port: env.port,
    ...(SHUTDOWN_TIMEOUT_MS === undefined ? undefined : { shutdownTimeoutMs: Number(SHUTDOWN_TIMEOUT_MS) }),
  },
  databasePath: env.databasePath,
  environmentKeys: env.apiKeys,
  processors: [
    auth(),
    rateLimit({ perMinute: env.requestsPerMinute }),
    validate(),
    enrich(),
    buffer(MAX_JOURNAL_BYTES === undefined ? {} : { maxJournalBytes: Number(MAX_JOURNAL_BYTES) }),
  ],
  sinks: [...shipped, ...sinks],
});
