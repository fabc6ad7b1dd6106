/** `auth_request`: one metric per authentication or authorisation check. */
import { ask } from '../ask.ts';
import { createKnownNames, createReport, headerOf, pathSegments } from './exchange.ts';
import type { Exchange, HttpMetricsOptions, Report } from './exchange.ts';

export interface AuthMetricsOptions<Raw extends object = object> extends HttpMetricsOptions<Raw> {
  /** How the caller proved who it is. Default the header `X-Auth-Method` of the answer, else of the request, else the scheme of `Authorization`. */
  readonly method?: (exchange: Exchange<Raw>) => string | undefined;
  /** The server that was asked for. Default the first segment of the path in the header `X-Original-URL`. A label once a request for it succeeded. */
  readonly server?: (exchange: Exchange<Raw>) => string | undefined;
}

const SCHEMES: ReadonlySet<string> = new Set(['bearer', 'basic', 'digest', 'negotiate', 'dpop', 'apikey']);

function methodOf(exchange: Exchange): string | undefined {
  const named = headerOf(exchange, 'x-auth-method');
  if (named !== undefined) return named;
  const scheme = exchange.requestHeader('authorization')?.split(' ', 1)[0]?.toLowerCase();
  return scheme !== undefined && SCHEMES.has(scheme) ? scheme : undefined;
}

const serverOf = (exchange: Exchange): string | undefined =>
  pathSegments(exchange.requestHeader('x-original-url') ?? '')[0];

export function authReport<Raw extends object>(options: AuthMetricsOptions<Raw> = {}): Report<Raw> {
  const { method = methodOf, server = serverOf } = options;
  const known = createKnownNames();
  return createReport(options, (client, exchange, basics, annotation) => {
    const requested = ask(client, 'server', 'string', server, exchange);
    client.authRequest({
      ...basics,
      method: ask(client, 'method', 'string', method, exchange) ?? 'unknown',
      server: known(requested, basics.success),
      ...annotation,
      metadata: { requested_server: requested?.slice(0, 100), ...annotation.metadata },
    });
  });
}
