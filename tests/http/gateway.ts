/** The HTTP surface over a real chain and a journal in memory: what a test of it starts. */
import { createAccounting } from '../../src/core/accounting.ts';
import type { JournalRecord } from '../../src/core/journal.ts';
import type { Chain } from '../../src/core/pipeline.ts';
import type { Log } from '../../src/core/ports.ts';
import type { ProcessorContext } from '../../src/core/processor.ts';
import { createRunner } from '../../src/core/runner.ts';
import { type App, createApp } from '../../src/http/app.ts';
import type { HttpDependencies } from '../../src/http/dependencies.ts';
import type { IngestOptions } from '../../src/http/ingest.ts';
import { listen, type Listener, type ListenOptions } from '../../src/http/server.ts';
import { openMemoryJournal } from '../../src/journal/memory-journal.ts';
import { auth, type AuthOptions } from '../../src/processors/auth.ts';
import { buffer } from '../../src/processors/buffer.ts';
import { enrich } from '../../src/processors/enrich.ts';
import { rateLimit, type RateLimitOptions } from '../../src/processors/rate-limit.ts';
import { validate, type ValidateOptions } from '../../src/processors/validate.ts';
import { systemClock } from '../../src/telemetry/system-clock.ts';
import { createTelemetry } from '../../src/telemetry/telemetry.ts';
import { memoryIdempotency } from '../support/memory-idempotency.ts';
import { memoryKeys } from '../support/memory-keys.ts';
import { NO_HISTORY, NO_RETENTION } from '../support/no-database.ts';

export const SECRET = `mcp_metrics_${'k'.repeat(43)}`;

export type TestGatewayOptions = IngestOptions & {
  readonly auth?: AuthOptions;
  readonly rateLimit?: RateLimitOptions;
  readonly validate?: ValidateOptions;
  readonly own?: Chain[4][];
  readonly listen?: ListenOptions;
  readonly dependencies?: Partial<HttpDependencies>;
  readonly context?: Partial<ProcessorContext>;
};

export interface TestGateway {
  readonly app: App;
  /** Public id of the key whose secret is SECRET. */
  readonly keyId: string;
  readonly records: () => Promise<readonly JournalRecord[]>;
  readonly keys: ReturnType<typeof memoryKeys>;
  readonly idempotency: ReturnType<typeof memoryIdempotency>;
  readonly telemetry: ReturnType<typeof createTelemetry>;
  /** Log lines, as message and fields. */
  readonly logged: { readonly message: string; readonly fields: object }[];
  /** Serves over a socket; closed with the test. */
  readonly serve: () => Promise<Listener>;
  readonly close: () => Promise<void>;
}

export async function testGateway(options: TestGatewayOptions = {}): Promise<TestGateway> {
  const keys = memoryKeys();
  const { id: keyId } = keys.add(SECRET);
  const idempotency = memoryIdempotency();
  const telemetry = createTelemetry();
  const journal = openMemoryJournal();
  const logged: { message: string; fields: object }[] = [];
  const note = (fields: object, message: string): void => {
    logged.push({ message, fields });
  };
  const log: Log = { debug: note, info: note, warn: note, error: note, child: () => log };
  const authStage = auth(options.auth);
  const rateLimitStage = rateLimit(options.rateLimit);
  const chain = [
    authStage,
    rateLimitStage,
    validate(options.validate),
    enrich(),
    ...(options.own ?? []),
    buffer(),
  ] as unknown as Chain;
  const context: ProcessorContext = {
    log,
    clock: systemClock,
    telemetry,
    keys,
    idempotency,
    append: journal.append,
    builtInOnly: (options.own ?? []).length === 0,
    ...options.context,
  };
  for (const stage of chain) await stage.start?.(context);
  const accounting = createAccounting(telemetry, context.clock);
  const app = createApp(
    {
      name: 'mcp-metrics-service',
      version: '0.0.0',
      log,
      clock: context.clock,
      run: createRunner(chain, { log, idempotency }),
      openTally: accounting.open,
      authenticate: authStage.authenticate,
      keys: context.keys,
      retention: NO_RETENTION,
      history: NO_HISTORY,
      rateLimitState: rateLimitStage.state,
      readiness: () => ({ ready: true, problems: [] }),
      flush: () => Promise.resolve(),
      tail: () => () => {},
      ...options.dependencies,
    },
    options,
  );
  const listeners: Listener[] = [];
  return {
    app,
    keyId,
    keys,
    idempotency,
    telemetry,
    logged,
    records: () => journal.read(0, { maxBytes: 1e9, maxMetrics: 1e9 }),
    serve: async () => {
      const listener = await listen(app, { port: 0, ...options.listen });
      listeners.push(listener);
      return listener;
    },
    close: async () => {
      await Promise.all(listeners.map((listener) => listener.close(500)));
      await journal.close();
    },
  };
}

/** One series of the gateway's own metrics. */
export function valueOf(gateway: TestGateway, name: string, labels: Readonly<Record<string, string>> = {}): number {
  const family = gateway.telemetry.collect().find((candidate) => candidate.name === name);
  const series = family?.series.find((candidate) =>
    Object.entries(labels).every(([label, value]) => candidate.labels[label] === value),
  );
  return typeof series?.value === 'number' ? series.value : 0;
}

/** A body of the wire format with so many good metrics. */
export const goodBody = (metrics = 1, more: object = {}): string =>
  JSON.stringify({
    service: 'auth-server',
    version: '1.0.0',
    metrics: Array.from({ length: metrics }, () => ({
      type: 'auth_request',
      value: 1,
      duration_ms: 45.2,
      dimensions: { success: true, method: 'jwt' },
      metadata: { error_code: null },
    })),
    ...more,
  });
