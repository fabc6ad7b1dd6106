/** Replaces the values of named dimensions and metadata fields. Nothing downstream, the disk included, sees the original. */
import type { Enriched, Processor } from 'mcp-metrics-gateway';

const without = <Value>(
  fields: readonly string[],
  record: Readonly<Record<string, Value>>,
): Record<string, Value | string> =>
  Object.fromEntries(Object.entries(record).map(([field, value]) => [field, fields.includes(field) ? '***' : value]));

export const redact = (...fields: readonly string[]): Processor<Enriched, Enriched> => ({
  name: 'redact',
  process: (batch) => ({
    ...batch,
    events: batch.events.map((event) => ({
      ...event,
      dimensions: without(fields, event.dimensions),
      metadata: without(fields, event.metadata),
    })),
  }),
});
