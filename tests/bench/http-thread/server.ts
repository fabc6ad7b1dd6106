/** The HTTP thread alone: the gateway's surface and chain over an append that does nothing or to the journal on disk, or the bare baseline. */
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createAccounting } from '../../../src/core/accounting.ts';
import type { Chain } from '../../../src/core/pipeline.ts';
import type { Log, Telemetry } from '../../../src/core/ports.ts';
import { createRecentRecords, type RecentRecords } from '../../../src/core/recent-records.ts';
import { createRunner } from '../../../src/core/runner.ts';
import { createApp } from '../../../src/http/app.ts';
import { listen } from '../../../src/http/server.ts';
import { openSegmentedLog } from '../../../src/journal/segmented-log.ts';
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

async function gateway(durable: boolean): Promise<number> {
  const quiet: Log = { debug: () => {}, info: () => {}, warn: () => {}, error: () => {}, child: () => quiet };
  const telemetry = createTelemetry();
  const keys = memoryKeys();
  keys.add('bench');
  const idempotency = memoryIdempotency();
  const authStage = auth();
  const rateLimitStage = rateLimit({ perMinute: 1e9 });
  const chain: Chain = [authStage, rateLimitStage, validate({ maxAgeDays: 36_500 }), enrich(), buffer()];
  const records = durable ? await openRecords(quiet, telemetry) : undefined;
  let sequence = 0;
  for (const stage of chain) {
    await stage.start?.({
      log: quiet,
      clock: systemClock,
      telemetry,
      keys,
      idempotency,
      append:
        records?.append ??
        ((entry) => {
          sequence += 1;
          return Promise.resolve({ ...entry, sequence, count: sequence });
        }),
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

/** The journal on disk with its memory of recent records, as if all sinks kept up. */
async function openRecords(log: Log, telemetry: Telemetry): Promise<RecentRecords> {
  const directory = mkdtempSync(join(tmpdir(), 'http-thread-journal-'));
  process.on('exit', () => rmSync(directory, { recursive: true, force: true }));
  const journal = await openSegmentedLog({ directory, clock: systemClock, log, telemetry, maxBytes: 8 * 1024 ** 3 });
  const records = createRecentRecords(journal, systemClock, 64 * 1024 * 1024);
  const trim = (): void => {
    const done = Math.max(0, journal.head().sequence - 1000);
    records.release(done);
    journal.trim(done).catch(() => {});
  };
  setInterval(trim, 200).unref();
  return records;
}

const kind = process.argv[2];
const port = await (kind === 'bare' ? bare() : gateway(kind === 'durable'));
process.send?.({ port });
process.on('message', () => {
  const { user, system } = process.threadCpuUsage();
  process.send?.({ cpuMicros: user + system });
});
process.on('disconnect', () => process.exit(0));
