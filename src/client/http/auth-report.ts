/** `auth_request`: one metric per authentication or authorisation check. */
import { ask } from '../ask.ts';
import { createKnownNames, createReport, pathSegments } from './exchange.ts';
import type { Exchange, HttpMetricsOptions, Report } from './exchange.ts';

export interface AuthMetricsOptions<Raw extends object = object> extends HttpMetricsOptions<Raw> {
  /**
   * How the caller proved who it is: a word of at most 32 letters, digits and `._+-`, else `other`. Default the header
   * `X-Auth-Method` of the answer, else of the request if it names a usual method, else the scheme of `Authorization`.
   */
  readonly method?: (exchange: Exchange<Raw>) => string | undefined;
  /** The server that was asked for. Default the first segment of the path in the header `X-Original-URL`. A label once a request for it succeeded. */
  readonly server?: (exchange: Exchange<Raw>) => string | undefined;
}

/** What callers may say of themselves: schemes of `Authorization` and other usual methods. */
const USUAL =
  /^(bearer|basic|digest|negotiate|dpop|apikey|api[-_]key|jwt|oauth2?|oidc|saml|mtls|session|cookie|token|none)( |$)/i;
/** What a service may call a method. */
const WORD = /^[\w.+-]{1,32}$/;

function methodOf({ requestHeader, responseHeader }: Exchange): string | undefined {
  const own = responseHeader('x-auth-method');
  if (own) return own;
  const told = requestHeader('x-auth-method');
  const usual = USUAL.exec(told || (requestHeader('authorization') ?? ''))?.[1]?.toLowerCase();
  return told ? (usual ?? 'other') : usual;
}

const serverOf = (exchange: Exchange): string | undefined =>
  pathSegments(exchange.requestHeader('x-original-url') ?? '')[0];

export function authReport<Raw extends object>(options: AuthMetricsOptions<Raw> = {}): Report<Raw> {
  const { method = methodOf, server = serverOf } = options;
  const known = createKnownNames();
  const knownMethods = createKnownNames();
  return createReport(options, (client, exchange, basics, annotation) => {
    const requested = ask(client, 'server', 'string', server, exchange);
    const found = ask(client, 'method', 'string', method, exchange);
    client.authRequest({
      ...basics,
      method: knownMethods(found === undefined || WORD.test(found) ? found : 'other', true),
      server: known(requested, basics.success),
      ...annotation,
      metadata: { requested_server: requested?.slice(0, 100), ...annotation.metadata },
    });
  });
}
