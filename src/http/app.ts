/** The HTTP surface as one Hono app: every route, and problems for all that has none. */
import { RESPONSE_ALREADY_SENT } from '@hono/node-server/utils/response';
import { type Context, Hono } from 'hono';
import { routePath } from 'hono/route';
import { Refusal } from '../core/refusal.ts';
import { SECURITY_HEADERS } from '../core/security-headers.ts';
import type { AppEnv } from './app-env.ts';
import type { HttpDependencies } from './dependencies.ts';
import { flushRoute } from './flush.ts';
import { healthRoutes } from './health.ts';
import { createInFlight, type InFlight } from './in-flight.ts';
import { createIngest, type Ingest, type IngestOptions } from './ingest.ts';
import { problemOf, refusalOf } from './problem.ts';
import { rateLimitRoute } from './rate-limit.ts';
import { newRequestId } from './request-id.ts';
import { databaseRoutes } from './database.ts';
import { ingestOperation } from './ingest-operation.ts';
import { keyRoutes } from './keys.ts';
import { openapiRoutes } from './openapi.ts';
import { queryRoutes } from './query.ts';
import { retentionRoutes } from './retention.ts';
import { tailRoute } from './tail.ts';

export interface App extends Hono<AppEnv> {
  /** `POST /metrics` without Hono between: the listener's short way to the one busy route. */
  readonly ingest: Ingest;
  /** What is under way on it. */
  readonly inFlight: Pick<InFlight, 'requests' | 'bytes'>;
}

export function createApp(dependencies: HttpDependencies, options: IngestOptions = {}): App {
  const { log } = dependencies;
  const inFlight = createInFlight(options);
  const ingest = createIngest(dependencies, inFlight, options);
  const app = new Hono<AppEnv>();

  // First, and with no middleware before it. The listener comes here only with a query or another spelling of the path.
  app.post('/metrics', ingestOperation(), (c) => {
    const { incoming, outgoing } = c.env;
    if (incoming === undefined || outgoing === undefined) throw new Error('POST /metrics needs a socket');
    ingest(incoming, outgoing);
    return RESPONSE_ALREADY_SENT;
  });

  app.use(async (c, next) => {
    for (const [name, value] of SECURITY_HEADERS) c.header(name, value);
    await next();
  });
  app.route('/', healthRoutes(dependencies));
  app.route('/', flushRoute(dependencies));
  app.route('/', rateLimitRoute(dependencies));
  app.route('/', tailRoute(dependencies));
  app.route('/', keyRoutes(dependencies));
  app.route('/', retentionRoutes(dependencies));
  app.route('/', databaseRoutes(dependencies));
  app.route('/', queryRoutes(dependencies));
  app.route('/', openapiRoutes(app, dependencies));

  app.notFound((c) => {
    // The path is not told again: what a client put there by mistake may be its key.
    const routes = app.routes.filter((route) => route.method !== 'ALL' && matches(route.path, c.req.path));
    const [route] = routes;
    if (route === undefined) {
      return problem(c, new Refusal('not_found', 'Nothing is served at this path; GET / lists what is.'));
    }
    const allowed = [...new Set(routes.map(({ method }) => method))];
    return problem(
      c,
      new Refusal('method_not_allowed', `${route.path} takes ${allowed.join(' or ')}, not ${c.req.method}.`, {
        headers: { Allow: allowed.join(', ') },
      }),
    );
  });
  app.onError((error, c) => {
    const requestId = newRequestId();
    if (!(error instanceof Refusal))
      log.error({ err: error, requestId, route: routePath(c, -1) }, 'a request failed unexpectedly');
    return problem(c, refusalOf(error), requestId);
  });
  return Object.assign(app, { ingest, inFlight });
}

/** Whether a path is of this route, whose parameters stand for one segment each. */
const matches = (route: string, path: string): boolean => {
  const wanted = route.split('/');
  const given = path.split('/');
  return wanted.length === given.length && wanted.every((part, at) => part.startsWith(':') || part === given[at]);
};

function problem(c: Context, refusal: Refusal, requestId = newRequestId()): Response {
  const { status, headers, body } = problemOf(refusal, requestId);
  return c.newResponse(body, status as 400, { ...Object.fromEntries(SECURITY_HEADERS), ...headers });
}
