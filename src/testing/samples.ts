/** Data for contracts: events as emitters send them, batches as a sink and a stage get them. */
import { randomBytes } from 'node:crypto';
import { makeBatch } from '../core/batch.ts';
import type { Checkpoint, Position } from '../core/journal.ts';
import type { MetricEvent } from '../core/metric.ts';
import type { Enriched } from '../core/phases.ts';
import { encodeEvent } from '../core/record.ts';
import type { DeliveredBatch, DeliveredRecord } from '../core/sink.ts';
import { deepFreeze } from './contract.ts';

/** One event of every kind that plugins meet: of each shape, with awkward text, with numbers and booleans, with nothing. */
export function sampleEvents(now: number = Date.now()): MetricEvent[] {
  return [
    {
      type: 'tool_execution',
      timestamp: now - 3,
      value: 1,
      durationMs: 42.5,
      dimensions: { tool_name: 'search', server_name: 'docs', method: 'tools/call', success: true, client_name: 'cli' },
      metadata: { input_size_bytes: 115, error_code: null, nested: { list: [1, 'two', null] } },
    },
    {
      type: 'auth_request',
      timestamp: now - 2,
      value: 1,
      durationMs: 0,
      dimensions: { method: 'jwt', success: false, user_hash: 'abc', error_code: 'expired "token"' },
      metadata: {},
    },
    {
      type: 'protocol_latency',
      timestamp: now - 1,
      value: 0.25,
      dimensions: { flow_step: 'initialize' },
      metadata: {},
    },
    {
      type: 'custom',
      timestamp: now,
      value: -1.5e9,
      dimensions: { metric_name: 'naïve \\ "quoted"\n line 🎉', empty: '', count: 3 },
      metadata: { query: "'; DROP TABLE metrics; --" },
    },
  ];
}

/**
 * A batch as the delivery hands it to a sink: frozen, in the journal's order, one record an event.
 * @param after where the batch before it ended; default: the journal's beginning
 */
export function sampleBatch(
  events: readonly MetricEvent[] = sampleEvents(),
  after: Checkpoint | (Partial<Position> & { readonly journalId?: string }) = {},
): DeliveredBatch {
  const journalId = after.journalId ?? randomBytes(8).toString('hex');
  const { sequence = 0, count = 0 } = after;
  const receivedAt = Date.now();
  const records = events.map((event, index): DeliveredRecord => {
    const delivered = {
      ...event,
      id: '',
      requestId: `req_${randomBytes(16).toString('hex')}`,
      receivedAt,
      service: 'contract',
      serviceVersion: '1.0.0',
      instanceId: 'contract-01',
      keyService: 'contract',
      resourceAttributes: {},
    };
    return { ...encodeEvent(delivered), sequence: sequence + index + 1, count: count + index + 1, from: 0, to: 1 };
  });
  const end = { journalId, sequence: sequence + events.length, count: count + events.length };
  const batch = makeBatch(records, events.length, end);
  deepFreeze(batch.events);
  return batch;
}

/** A batch as a stage between `enrich` and `buffer` gets it: frozen all the way down. */
export function sampleEnriched(events: readonly MetricEvent[] = sampleEvents()): Enriched {
  const none = (): void => undefined;
  const batch = {
    submission: {
      requestId: `req_${randomBytes(16).toString('hex')}`,
      receivedAt: Date.now(),
      protocol: 'json',
      headers: { get: none },
      remoteAddress: '127.0.0.1',
      body: { read: () => Promise.resolve(new Uint8Array()) },
      answerHeaders: new Map<string, string>(),
      tally: { received: none, rejected: none },
    },
    client: { keyId: 'key_0000000000000000', service: 'contract', scopes: ['ingest'], limits: {} },
    resource: { service: 'contract', version: '1.0.0', instanceId: 'contract-01', attributes: {} },
    events: structuredClone(events),
    points: [],
    accepted: events.length,
    rejected: [],
    errors: [],
    errorsOmitted: 0,
    warnings: [],
    source: { format: 'json', bytes: new Uint8Array() },
    keyService: 'contract',
  };
  // The brand that tells the phases apart exists in types alone.
  return deepFreeze(batch) as unknown as Enriched;
}
