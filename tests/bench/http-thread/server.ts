/** The HTTP thread alone: the gateway's surface and chain over an append that does nothing, or the bare baseline. */
import { createServer } from 'node:http';
import { createAccounting } from '../../../src/core/accounting.ts';
import type { Chain } from '../../../src/core/pipeline.ts';
import type { Log } from '../../../src/core/ports.ts';
import { createRunner } from '../../../src/core/runner.ts';
import { createApp } from '../../../src/http/app.ts';
import { listen } from '../../../src/http/server.ts';
import { auth } from '../../../src/processors/auth.ts';
import { buffer } from '../../../src/processors/buffer.ts';
import { enrich } from '../../../src/processors/enrich.ts';
import { rateLimit } from '../../../src/processors/rate-limit.ts';
import { validate } from '../../../src/processors/validate.ts';
import { systemClock } from '../../../src/telemetry/system-clock.ts';
import { createTelemetry } from '../../../src/telemetry/telemetry.ts';
import { memoryIdempotency } from '../../support/memory-idempotency.ts';
import { memoryKeys } from '../../support/memory-keys.ts';
import { NO_HISTORY, NO_RETENTION } from '../../support/no-database.ts';

/** What `node:http` and `JSON.parse` cost at the least. */
async function bare(): Promise<number> {
  const server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      const body = JSON.parse(Buffer.concat(chunks).toString()) as { metrics: unknown[] };
      const answer = JSON.stringify({ status: 'success', accepted: body.metrics.length });
      response.writeHead(200, { 'Content-Type': 'application/json', 'Content-Length': answer.length });
      response.end(answer);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return (server.address() as { port: number }).port;
}

async function gateway(): Promise<number> {
  const quiet: Log = { debug: () => {}, info: () => {}, warn: () => {}, error: () => {}, child: () => quiet };
  const telemetry = createTelemetry();
  const keys = memoryKeys();
  keys.add('bench');
  const idempotency = memoryIdempotency();
  const authStage = auth();
  const rateLimitStage = rateLimit({ perMinute: 1e9 });
  const chain: Chain = [authStage, rateLimitStage, validate({ maxAgeDays: 36_500 }), enrich(), buffer()];
  let sequence = 0;
  for (const stage of chain) {
    await stage.start?.({
      log: quiet,
      clock: systemClock,
      telemetry,
      keys,
      idempotency,
      append: (entry) => {
        sequence += 1;
        return Promise.resolve({ ...entry, sequence, count: sequence });
      },
      builtInOnly: true,
    });
  }
  const app = createApp({
    name: 'bench',
    version: '0',
    log: quiet,
    clock: systemClock,
    run: createRunner(chain, { log: quiet, idempotency }),
    openTally: createAccounting(telemetry).open,
    authenticate: authStage.authenticate,
    keys,
    retention: NO_RETENTION,
    history: NO_HISTORY,
    rateLimitState: rateLimitStage.state,
    readiness: () => ({ ready: true, problems: [] }),
    flush: () => Promise.resolve(),
    tail: () => () => {},
  });
  return (await listen(app, { port: 0 })).port;
}

const port = await (process.argv[2] === 'bare' ? bare() : gateway());
process.send?.({ port });
process.on('message', () => {
  const { user, system } = process.threadCpuUsage();
  process.send?.({ cpuMicros: user + system });
});
process.on('disconnect', () => process.exit(0));
