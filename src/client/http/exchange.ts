/** One HTTP request and its answer as the middleware sees them, whatever the framework. */
import { ask } from '../ask.ts';
import type { MetricsClient } from '../client.ts';
import { defaultMetricsClient } from '../default-client.ts';
import type { AuthRequestFields, RegistryOperationFields, ToolDiscoveryFields } from '../metric-fields.ts';

/** `Raw` is the framework's own: Hono's and Koa's context, Express', Fastify's and Node's request. */
export interface Exchange<Raw extends object = object> {
  readonly method: string;
  /** Path and query as the client asked for them. */
  readonly url: string;
  /** The pattern of the route that matched, where the framework tells. */
  readonly route: string | undefined;
  /** Names in any case. */
  readonly requestHeader: (name: string) => string | undefined;
  /** Undefined where no answer was made. */
  readonly responseHeader: (name: string) => string | undefined;
  /** Of the answer; 0 where none was made, or the service itself broke it off. */
  readonly status: number;
  /** The client left before the answer was complete. */
  readonly aborted: boolean;
  /** Until the head of the answer, so that neither a stream's length nor a slow reader counts. */
  readonly durationMs: number;
  readonly raw: Raw;
}

/** Common to all three kinds of middleware. */
export interface HttpMetricsOptions<Raw extends object = object> {
  /** Default: one made from the environment. */
  readonly client?: MetricsClient;
  /** Which requests count. Default all that pass. */
  readonly when?: (exchange: Exchange<Raw>) => boolean;
  /** Default: an answer with a status below 400 that the client stayed for. */
  readonly success?: (exchange: Exchange<Raw>) => boolean;
  /** Who asked; only the hash is recorded. Default the header `X-Username` of the answer, else of the request. */
  readonly user?: (exchange: Exchange<Raw>) => string | undefined;
}

/** Called once per request, when its answer is known. Never throws. */
export type Report<Raw extends object> = (exchange: Exchange<Raw>) => void;

/** What all kinds of metrics have in common, found once. */
export interface Basics {
  readonly success: boolean;
  readonly durationMs: number;
  readonly userHash: string | undefined;
  readonly errorCode: string | undefined;
}

/** What a handler knows and no header tells: added to the request's metric, over what the middleware found. */
export type Annotation = Partial<AuthRequestFields & RegistryOperationFields & ToolDiscoveryFields> & {
  /** Recorded as a hash: no metric has a field of this name. */
  readonly user?: string;
};

const NOTHING: Annotation = {};
const annotations = new WeakMap<object, Annotation>();

/**
 * Adds to the metric of a request that is being answered. Never throws.
 * @param raw what the framework gives a handler: Hono's and Koa's context, Express', Fastify's and Node's request
 */
export function annotateMetrics(raw: object, annotation: Annotation): void {
  try {
    annotations.set(raw, { ...annotations.get(raw), ...annotation });
  } catch {
    // Nothing that a request is known by.
  }
}

/** A header of the answer, which the service itself wrote, before that of the request, which anybody may have sent. */
const headerOf = (exchange: Exchange, name: string): string | undefined =>
  exchange.responseHeader(name) ?? exchange.requestHeader(name);

/** Makes the report of one kind: `record` gets what all have in common and what the handler added. */
export function createReport<Raw extends object>(
  options: HttpMetricsOptions<Raw>,
  record: (client: MetricsClient, exchange: Exchange<Raw>, basics: Basics, annotation: Annotation) => void,
): Report<Raw> {
  const { when, user } = options;
  const client = options.client ?? defaultMetricsClient();
  return (exchange) => {
    if (!client.enabled) return;
    try {
      if (ask(client, 'when', 'boolean', when, exchange) === false) return;
      const annotation = annotations.get(exchange.raw) ?? NOTHING;
      const { status, aborted, durationMs } = exchange;
      const success =
        annotation.success ??
        ask(client, 'success', 'boolean', options.success, exchange) ??
        (!aborted && status > 0 && status < 400);
      const failure = aborted ? 'aborted' : status === 0 ? 'error' : String(status);
      const basics: Basics = {
        success,
        durationMs,
        userHash: client.hashUser(
          annotation.user ??
            (user === undefined ? headerOf(exchange, 'x-username') : ask(client, 'user', 'string', user, exchange)),
        ),
        errorCode: success ? undefined : failure,
      };
      record(client, exchange, basics, annotation);
    } catch {
      // An object of the framework's that throws costs the metric, never the request.
    }
  };
}

const MAX_NAMES = 200;

/**
 * Names that callers choose (in an address, for example) become labels once a request for them succeeded; until then
 * they are `unknown`.
 */
export function createKnownNames(): (name: string | undefined, success: boolean) => string {
  const known = new Set<string>();
  return (name, success) => {
    if (name === undefined || name === '') return 'unknown';
    if (success && known.size < MAX_NAMES) known.add(name);
    return known.has(name) ? name : 'unknown';
  };
}

/** The segments of an address' path, as they stand there. */
export const pathSegments = (address: string): readonly string[] =>
  /^(?:[a-z][a-z0-9+.-]*:\/\/[^/]*)?([^?#]*)/i.exec(address)?.[1]?.match(/[^/]+/g) ?? [];
