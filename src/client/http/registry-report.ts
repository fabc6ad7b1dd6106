/** `registry_operation`: one metric per operation on a registry's resources. */
import { ask } from '../ask.ts';
import { createKnownNames, createReport, pathSegments } from './exchange.ts';
import type { Exchange, HttpMetricsOptions, Report } from './exchange.ts';

export interface RegistryMetricsOptions<Raw extends object = object> extends HttpMetricsOptions<Raw> {
  /** Default by the HTTP method: `read`, `create`, `update`, `delete`, else `other`. */
  readonly operation?: (exchange: Exchange<Raw>) => string | undefined;
  /** Default the first segment of the route's or else the address' path that is neither `api` nor a version. A label once a request for it succeeded. */
  readonly resourceType?: (exchange: Exchange<Raw>) => string | undefined;
  /** Kept in SQLite, never a label. Default none. */
  readonly resourceId?: (exchange: Exchange<Raw>) => string | undefined;
}

const OPERATIONS: ReadonlyMap<string, string> = new Map([
  ['GET', 'read'],
  ['HEAD', 'read'],
  ['POST', 'create'],
  ['PUT', 'update'],
  ['PATCH', 'update'],
  ['DELETE', 'delete'],
]);

const firstResource = (address: string): string | undefined =>
  pathSegments(address).find((segment) => !/^(api|v\d[\d.]*|\*|[:{].*)$/.test(segment));

const resourceOf = ({ route, url }: Exchange): string | undefined => firstResource(route ?? '') ?? firstResource(url);

export function registryReport<Raw extends object>(options: RegistryMetricsOptions<Raw> = {}): Report<Raw> {
  const { operation, resourceType = resourceOf, resourceId } = options;
  const known = createKnownNames();
  return createReport(options, (client, exchange, basics, annotation) => {
    client.registryOperation({
      ...basics,
      operation: ask(client, 'operation', 'string', operation, exchange) ?? OPERATIONS.get(exchange.method) ?? 'other',
      resourceType: known(ask(client, 'resourceType', 'string', resourceType, exchange), basics.success),
      resourceId: ask(client, 'resourceId', 'string', resourceId, exchange),
      ...annotation,
    });
  });
}
