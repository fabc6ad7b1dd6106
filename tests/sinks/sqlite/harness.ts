/** What the tests of the database share: records as the journal hands them over, and the recorded traffic. */
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import Database from 'better-sqlite3';
import type { JsonBody } from '../../../src/core/json-events.ts';
import type { Checkpoint } from '../../../src/core/journal.ts';
import type { Clock, Log } from '../../../src/core/ports.ts';
import type { DeliveredBatch, DeliveredRecord } from '../../../src/core/sink.ts';
import { deliveredEvents } from '../../../src/core/record.ts';

export const JOURNAL_ID = 'journal-1';

/** Bodies of the requests that a real auth server sent. */
export function recordedBodies(): JsonBody[] {
  const path = fileURLToPath(new URL('../../fixtures/auth-server.ndjson', import.meta.url));
  return readFileSync(path, 'utf8')
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as JsonBody);
}

const encoder = new TextEncoder();

export interface RecordOptions {
  readonly requestId?: string;
  readonly receivedAt?: number;
  readonly keyService?: string;
  readonly attributes?: Readonly<Record<string, string | number | boolean>>;
}

/** Makes records of bodies, numbered on from the ones before. */
export function recorder(): {
  record: (body: JsonBody, options?: RecordOptions) => DeliveredRecord;
  end: () => Checkpoint;
} {
  let sequence = 0;
  let count = 0;
  return {
    record: (body, options = {}) => {
      sequence += 1;
      const metrics = body.metrics.length;
      count += metrics;
      const envelope = {
        f: 'json',
        q: options.requestId ?? `req_${sequence.toString(16).padStart(32, '0')}`,
        t: options.receivedAt ?? Date.UTC(2026, 10, 22, 8, 20),
        k: 'key_0123456789abcdef',
        s: options.keyService ?? body.service,
        ...(options.attributes === undefined ? undefined : { x: options.attributes }),
      };
      return {
        sequence,
        count,
        metrics,
        from: 0,
        to: metrics,
        envelope: encoder.encode(JSON.stringify(envelope)),
        payload: encoder.encode(JSON.stringify(body)),
      };
    },
    end: () => ({ journalId: JOURNAL_ID, sequence, count }),
  };
}

/** A batch as a delivery hands it to a sink. */
export const batchOf = (records: readonly DeliveredRecord[], journalId = JOURNAL_ID): DeliveredBatch => {
  const last = records.at(-1);
  return {
    records,
    get events() {
      return records.flatMap((record) => deliveredEvents(record, journalId));
    },
    metrics: records.reduce((sum, record) => sum + record.to - record.from, 0),
    checkpoint: { journalId, sequence: last?.sequence ?? 0, count: last?.count ?? 0 },
  };
};

export interface LogLine {
  readonly level: 'debug' | 'info' | 'warn' | 'error';
  readonly message: string;
  readonly fields: object;
}

/** A log that keeps its lines. */
export function memoryLog(): Log & { readonly lines: LogLine[] } {
  const lines: LogLine[] = [];
  const at =
    (level: LogLine['level']) =>
    (fields: object, message: string): void => {
      lines.push({ level, message, fields });
    };
  const log = { lines, debug: at('debug'), info: at('info'), warn: at('warn'), error: at('error'), child: () => log };
  return log;
}

/** Wall clock that stands until it is set; timers are real. */
export function settableClock(start: number): Clock & { set: (now: number) => void } {
  let now = start;
  return {
    now: () => now,
    monotonic: () => performance.now(),
    after: (delayMs, callback) => {
      const timer = setTimeout(callback, delayMs);
      timer.unref();
      return { cancel: () => clearTimeout(timer) };
    },
    set: (next) => {
      now = next;
    },
  };
}

/** Opens the file beside the store and runs one query. */
export function query<Row = Record<string, unknown>>(path: string, sql: string, ...args: unknown[]): Row[] {
  const db = new Database(path, { readonly: true });
  try {
    return db.prepare<unknown[], Row>(sql).all(...args);
  } finally {
    db.close();
  }
}

/** Waits for a condition, with a deadline. */
export async function eventually<T>(check: () => T | undefined | false, what: string, deadlineMs = 5000): Promise<T> {
  const end = performance.now() + deadlineMs;
  for (;;) {
    const result = check();
    if (result !== undefined && result !== false) return result;
    if (performance.now() > end) throw new Error(`within ${deadlineMs} ms did not come: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}
