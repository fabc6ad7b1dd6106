/**
 * What the journal holds of a batch: an envelope, and either the request's own bytes (`json`) or the accepted events
 * encoded anew (`events`, where a stage of the user's own may have changed them). Documented in docs/journal-format.md.
 */
import type { JournalEntry } from './journal.ts';
import type { DimensionValue, MetricEvent, Resource } from './metric.ts';
import { type JsonBody, type JsonMetric, readJsonMetric } from './json-events.ts';
import type { Enriched, IdempotencyClaim, Receipt } from './phases.ts';
import type { DeliveredEvent } from './sink.ts';

/** Everything known of a batch beside its events. One JSON object on disk; short member names, since each request has one. */
export interface Envelope {
  readonly format: 'json' | 'events';
  readonly requestId: string;
  /** Milliseconds since the Unix epoch. */
  readonly receivedAt: number;
  readonly keyId: string;
  readonly keyService: string;
  /** Indexes in the body's `metrics` that were rejected, ascending; only for `json`. */
  readonly rejected: readonly number[];
  readonly attributes: Readonly<Record<string, DimensionValue>>;
  readonly idempotency?: IdempotencyClaim;
  /** Kept where there is an idempotency key to answer again. */
  readonly receipt?: Receipt;
}

interface EncodedEnvelope {
  readonly f: 'json' | 'events';
  readonly q: string;
  readonly t: number;
  readonly k: string;
  readonly s: string;
  readonly r?: readonly number[];
  readonly x?: Readonly<Record<string, DimensionValue>>;
  readonly i?: IdempotencyClaim;
  readonly a?: Receipt;
}

/** The payload of format `events`. */
interface EventsPayload {
  readonly resource: Pick<Resource, 'service' | 'version' | 'instanceId'>;
  readonly events: readonly MetricEvent[];
}

const encoder = new TextEncoder();
const decoder = new TextDecoder();

/** @param raw true where the batch's own bytes still say what the chain let through */
export function encodeRecord(batch: Enriched, receipt: Receipt, raw: boolean): JournalEntry {
  const { idempotency } = batch.source;
  const { attributes } = batch.resource;
  const envelope: EncodedEnvelope = {
    f: raw ? 'json' : 'events',
    q: batch.submission.requestId,
    t: batch.submission.receivedAt,
    k: batch.client.keyId,
    s: batch.keyService,
    ...(raw && batch.rejected.length > 0 ? { r: batch.rejected.map((item) => item.index) } : undefined),
    ...(Object.keys(attributes).length > 0 ? { x: attributes } : undefined),
    ...(idempotency === undefined ? undefined : { i: idempotency, a: receipt }),
  };
  return {
    envelope: encoder.encode(JSON.stringify(envelope)),
    payload: raw ? batch.source.bytes : encodeEvents(batch),
    metrics: receipt.accepted,
  };
}

function encodeEvents(batch: Enriched): Uint8Array {
  const { service, version, instanceId } = batch.resource;
  const payload: EventsPayload = {
    resource: {
      service,
      ...(version === undefined ? undefined : { version }),
      ...(instanceId === undefined ? undefined : { instanceId }),
    },
    events: batch.events,
  };
  return encoder.encode(JSON.stringify(payload));
}

export function readEnvelope(bytes: Uint8Array): Envelope {
  const encoded = JSON.parse(decoder.decode(bytes)) as EncodedEnvelope;
  return {
    format: encoded.f,
    requestId: encoded.q,
    receivedAt: encoded.t,
    keyId: encoded.k,
    keyService: encoded.s,
    rejected: encoded.r ?? [],
    attributes: encoded.x ?? {},
    ...(encoded.i === undefined ? undefined : { idempotency: encoded.i }),
    ...(encoded.a === undefined ? undefined : { receipt: encoded.a }),
  };
}

/** A record, decoded: who sent it, and the accepted events in their order. */
export interface ReadRecord {
  readonly envelope: Envelope;
  readonly resource: Resource;
  readonly events: readonly MetricEvent[];
}

/** Decodes a record. Runs no processor: what the chain let through is what comes back. */
export function readRecord(record: Pick<JournalEntry, 'envelope' | 'payload'>): ReadRecord {
  const envelope = readEnvelope(record.envelope);
  const payload: unknown = JSON.parse(decoder.decode(record.payload));
  if (envelope.format === 'events') {
    const { resource, events } = payload as EventsPayload;
    return { envelope, resource: { ...resource, attributes: envelope.attributes }, events };
  }
  const body = payload as JsonBody;
  return {
    envelope,
    resource: readResource(body, envelope.attributes),
    events: readEvents(body, envelope.rejected, envelope.receivedAt),
  };
}

export function readResource(
  body: Pick<JsonBody, 'service' | 'version' | 'instance_id'>,
  attributes: Readonly<Record<string, DimensionValue>>,
): Resource {
  const { service, version, instance_id: instanceId } = body;
  return {
    service,
    ...(version === undefined || version === null ? undefined : { version }),
    ...(instanceId === undefined || instanceId === null ? undefined : { instanceId }),
    attributes,
  };
}

/** The events of a body, in order, without those whose ascending indexes are in `rejected`. */
export function readEvents(body: JsonBody, rejected: readonly number[], receivedAt: number): MetricEvent[] {
  const events: MetricEvent[] = [];
  let next = 0;
  for (let index = 0; index < body.metrics.length; index += 1) {
    if (rejected[next] === index) {
      next += 1;
      continue;
    }
    events.push(readJsonMetric(body.metrics[index] as JsonMetric, receivedAt));
  }
  return events;
}

/** The events of a record from `from` to before `to`, each with what the envelope knows of it. */
export function deliveredEvents(
  record: Pick<JournalEntry, 'envelope' | 'payload'> & {
    readonly sequence: number;
    readonly from: number;
    readonly to: number;
  },
  journalId: string,
): DeliveredEvent[] {
  const { envelope, resource, events } = readRecord(record);
  return events.slice(record.from, record.to).map((event, offset) => ({
    ...event,
    id: `${journalId}/${record.sequence}/${record.from + offset}`,
    requestId: envelope.requestId,
    receivedAt: envelope.receivedAt,
    service: resource.service,
    ...(resource.version === undefined ? undefined : { serviceVersion: resource.version }),
    ...(resource.instanceId === undefined ? undefined : { instanceId: resource.instanceId }),
    keyService: envelope.keyService,
    resourceAttributes: resource.attributes,
  }));
}

/** A delivered event as a record of its own: what was set aside goes to its sink again in this form. */
export function encodeEvent(event: DeliveredEvent): JournalEntry {
  const {
    id: _id,
    requestId,
    receivedAt,
    service,
    serviceVersion,
    instanceId,
    keyService,
    resourceAttributes,
    ...metric
  } = event;
  const envelope: EncodedEnvelope = {
    f: 'events',
    q: requestId,
    t: receivedAt,
    k: '',
    s: keyService,
    ...(Object.keys(resourceAttributes).length > 0 ? { x: resourceAttributes } : undefined),
  };
  const payload: EventsPayload = {
    resource: {
      service,
      ...(serviceVersion === undefined ? undefined : { version: serviceVersion }),
      ...(instanceId === undefined ? undefined : { instanceId }),
    },
    events: [metric],
  };
  return {
    envelope: encoder.encode(JSON.stringify(envelope)),
    payload: encoder.encode(JSON.stringify(payload)),
    metrics: 1,
  };
}
