/** The gateway's own OpenTelemetry resource: who sends these totals. */
import { detectResources, envDetector, resourceFromAttributes, type Resource } from '@opentelemetry/resources';

const DEFAULT_SERVICE_NAME = 'mcp-metrics-service';

/**
 * `OTEL_SERVICE_NAME` and `OTEL_RESOURCE_ATTRIBUTES` over the defaults, the options over both.
 * https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables/
 */
export function gatewayResource(
  options: Readonly<Record<string, string>>,
  version: string,
  instanceId: string,
): Resource {
  const defaults = resourceFromAttributes({
    'service.name': DEFAULT_SERVICE_NAME,
    'service.version': version,
    'service.instance.id': instanceId,
  });
  return defaults.merge(detectResources({ detectors: [envDetector] })).merge(resourceFromAttributes(options));
}
