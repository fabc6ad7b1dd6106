/** Stage 4: what the gateway knows beside what the emitter says: the key's own service, and resource attributes. */
import { enterPhase } from '../core/brand.ts';
import type { DimensionValue } from '../core/metric.ts';
import type { Enriched, Validated } from '../core/phases.ts';
import { builtIn, type Processor } from '../core/processor.ts';

export interface EnrichOptions {
  /** Resource attributes for everything that comes in, such as `{ 'deployment.environment.name': 'production' }`. Default none. */
  readonly attributes?: Readonly<Record<string, DimensionValue>>;
}

/**
 * Keeps the service that the key belongs to beside the one that the batch claims (which stays the label, as existing
 * dashboards expect), and adds resource attributes. Request id and receive time come with the submission.
 */
export function enrich(options: EnrichOptions = {}): Processor<Validated, Enriched> {
  const attributes = { ...options.attributes };
  const none = Object.keys(attributes).length === 0;
  return {
    name: 'enrich',
    [builtIn]: 'enrich',
    process: (batch) => {
      const { submission, client, resource, points, accepted, rejected, errors, errorsOmitted, warnings, source } =
        batch;
      return enterPhase<Enriched>({
        submission,
        client,
        resource: none ? resource : { ...resource, attributes: { ...resource.attributes, ...attributes } },
        // A getter of its own: only a user's stage ever reads the events here, and a spread of the batch does.
        get events() {
          return batch.events;
        },
        points,
        accepted,
        rejected,
        errors,
        errorsOmitted,
        warnings,
        source,
        keyService: client.service,
      });
    },
  };
}
