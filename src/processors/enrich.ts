/** Stage 4: what the gateway knows beside what the emitter says: the key's own service, and resource attributes. */
import { enterPhase } from '../core/brand.ts';
import type { DimensionValue } from '../core/metric.ts';
import type { Enriched, Validated } from '../core/phases.ts';
import { builtIn, type Processor } from '../core/processor.ts';
import { LazyBatch } from './batch.ts';
import { checkOptions } from '../core/options.ts';

export interface EnrichOptions {
  /** Resource attributes for everything that comes in, such as `{ 'deployment.environment.name': 'production' }`. Default none. */
  readonly attributes?: Readonly<Record<string, DimensionValue>>;
}

/**
 * Keeps the service that the key belongs to beside the one that the batch claims (which stays the label, as existing
 * dashboards expect), and adds resource attributes. Request id and receive time come with the submission.
 */
export function enrich(options: EnrichOptions = {}): Processor<Validated, Enriched> {
  checkOptions('enrich', options, { attributes: true });
  const attributes = { ...options.attributes };
  const none = Object.keys(attributes).length === 0;
  let builtInOnly = false;
  return {
    name: 'enrich',
    [builtIn]: 'enrich',
    start: (context) => {
      ({ builtInOnly } = context);
    },
    process: (batch) => {
      const keyService = batch.client.service;
      const resource = none
        ? batch.resource
        : { ...batch.resource, attributes: { ...batch.resource.attributes, ...attributes } };
      if (builtInOnly && batch instanceof LazyBatch) {
        batch.resource = resource;
        batch.keyService = keyService;
        return enterPhase<Enriched>(batch);
      }
      // A stage of the user's own comes next: it may spread what it is given.
      return enterPhase<Enriched>({ ...batch, events: batch.events, resource, keyService });
    },
  };
}
