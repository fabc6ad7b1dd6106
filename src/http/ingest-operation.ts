/** What `POST /metrics` says of itself in the OpenAPI document, from the schemas that write its errors. */
import type { MiddlewareHandler } from 'hono';
import { DEFAULT_LIMITS, newWindow } from '../processors/validate/metric-limits.ts';
import { createBodySchema, createMetricSchema } from '../processors/validate/metric-schema.ts';
import { operation } from './operation.ts';

/** Shows the default limits; a pipeline may set others. */
export const ingestOperation = (): MiddlewareHandler =>
  operation({
    summary: 'Send metrics',
    description:
      'A 200 is a promise: what was accepted is on disk. One bad metric does not sink the others; where nothing can be taken the answer is 422. `Content-Encoding: gzip` is taken.',
    tag: 'ingest',
    needs: ['ingest'],
    headers: {
      'Idempotency-Key': {
        description: 'A name for this batch: sent again with the same body it counts once and is answered alike',
        schema: { type: 'string', minLength: 1, maxLength: 128 },
      },
    },
    body: createBodySchema(DEFAULT_LIMITS, createMetricSchema(DEFAULT_LIMITS, newWindow())),
    bodyRequired: true,
    answers: { 200: { description: 'What became of the metrics', shape: 'Receipt' } },
    refusals: [
      'malformed',
      'timeout',
      'conflict',
      'too_large',
      'unsupported_media',
      'invalid',
      'headers_too_large',
      'overloaded',
    ],
  });
