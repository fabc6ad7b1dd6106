/** The same small service in each framework, with a middleware of each kind: what the tests ask is the same for all. */
import { createServer, type RequestListener, type Server, type ServerResponse } from 'node:http';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { Readable } from 'node:stream';
import { serve } from '@hono/node-server';
import express from 'express';
import Fastify from 'fastify';
import { Hono } from 'hono';
import { HTTPException } from 'hono/http-exception';
import { streamSSE, streamText } from 'hono/streaming';
import Koa from 'koa';
import type { MetricsClient } from '../../../src/client/index.ts';
import * as forExpress from '../../../src/client/http/express.ts';
import * as forFastify from '../../../src/client/http/fastify.ts';
import * as forHono from '../../../src/client/http/hono.ts';
import * as forKoa from '../../../src/client/http/koa.ts';
import * as forNode from '../../../src/client/http/node.ts';

export type Kind = 'auth' | 'registry' | 'discovery';
export interface Service {
  readonly url: string;
  /** Ends the event stream that is open. */
  readonly endStream: () => void;
  readonly close: () => Promise<void>;
}

/** Resolves when the stream may end. */
function gate(): { readonly wait: Promise<void>; readonly open: () => void } {
  let open = (): void => {};
  const wait = new Promise<void>((resolve) => (open = resolve));
  return { wait, open };
}

async function listen(server: Server, endStream: () => void): Promise<Service> {
  if (!server.listening) {
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
  }
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    endStream,
    close: async () => {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
}

/** A body that begins and never ends by itself. */
const partOfBody = (): Readable => {
  const body = new Readable({ read: () => {} });
  body.push('part');
  return body;
};

/** Breaks an answer off in its middle, once its client has the beginning. */
const breakOff = (response: ServerResponse): void => {
  response.write('part', () => response.destroy());
};

const SSE = { 'content-type': 'text/event-stream', 'cache-control': 'no-cache' };
const HEADERS = { 'x-username': 'alice', 'x-auth-method': 'jwt', 'x-results-count': '3' };

/** Without middleware where `client` is undefined. */
export type StartService = (kind: Kind, client: MetricsClient | undefined) => Promise<Service>;

const pick = <Made>(
  from: Readonly<Record<`${Kind}Metrics`, (options: { client: MetricsClient }) => Made>>,
  kind: Kind,
  client: MetricsClient,
): Made => from[`${kind}Metrics`]({ client });

const startExpress: StartService = (kind, client) => {
  const app = express();
  const stream = gate();
  if (client !== undefined) app.use(pick(forExpress, kind, client));
  app.get('/api/v1/servers/:id', (request, response) => {
    if (kind === 'discovery') forExpress.annotateMetrics(request, { embeddingTimeMs: 4, topKServices: 5 });
    response.set(HEADERS).json({ id: request.params.id });
  });
  app.post('/api/v1/servers', (_, response) => void response.status(201).end());
  app.get('/denied', (_, response) => void response.status(403).send('no'));
  app.get('/throws', async () => {
    throw new Error('thrown');
  });
  app.get('/hangs', () => {});
  app.get('/part', (_, response) => void response.type('text').write('part'));
  app.get('/breaks', (_, response) => breakOff(response));
  app.get('/events', (_, response) => {
    response.writeHead(200, SSE).write('data: first\n\n');
    stream.wait.then(() => response.end('data: last\n\n')).catch(() => {});
  });
  const quiet: express.ErrorRequestHandler = (error: Error, _request, response, _next) => {
    response.status(500).send(error.message);
  };
  app.use(quiet);
  return listen(createServer(app), stream.open);
};

const startFastify: StartService = async (kind, client) => {
  const app = Fastify();
  const stream = gate();
  if (client !== undefined) await app.register(pick(forFastify, kind, client));
  app.get<{ Params: { id: string } }>('/api/v1/servers/:id', async (request, reply) => {
    if (kind === 'discovery') forFastify.annotateMetrics(request, { embeddingTimeMs: 4, topKServices: 5 });
    await reply.headers(HEADERS).send({ id: request.params.id });
  });
  app.post('/api/v1/servers', async (_, reply) => reply.status(201).send());
  app.get('/denied', async (_, reply) => reply.status(403).send('no'));
  app.get('/throws', async () => {
    throw new Error('thrown');
  });
  app.get('/hangs', () => new Promise(() => {}));
  app.get('/part', async (_, reply) => reply.type('text/plain').send(partOfBody()));
  app.get('/breaks', (_, reply) => {
    reply.hijack();
    breakOff(reply.raw);
  });
  app.get('/events', (_, reply) => {
    reply.hijack();
    reply.raw.writeHead(200, SSE).write('data: first\n\n');
    stream.wait.then(() => reply.raw.end('data: last\n\n')).catch(() => {});
  });
  await app.ready();
  await app.listen({ port: 0, host: '127.0.0.1' });
  return { ...(await listen(app.server, stream.open)), close: () => (app.server.closeAllConnections(), app.close()) };
};

const startKoa: StartService = (kind, client) => {
  const app = new Koa();
  const stream = gate();
  app.silent = true;
  if (client !== undefined) app.use(pick(forKoa, kind, client));
  app.use(async (context) => {
    if (context.path.startsWith('/api/v1/servers/')) {
      if (kind === 'discovery') forKoa.annotateMetrics(context, { embeddingTimeMs: 4, topKServices: 5 });
      context.set(HEADERS);
      context.body = { id: context.path.split('/').at(-1) };
    } else if (context.path === '/api/v1/servers') {
      context.body = '';
      context.status = 201;
    } else if (context.path === '/denied') {
      context.status = 403;
      context.body = 'no';
    } else if (context.path === '/throws') throw new Error('thrown');
    else if (context.path === '/hangs') await new Promise(() => {});
    else if (context.path === '/part') {
      context.type = 'text';
      context.body = partOfBody();
    } else if (context.path === '/breaks') {
      context.respond = false;
      breakOff(context.res);
    } else if (context.path === '/events') {
      context.respond = false;
      context.res.writeHead(200, SSE).write('data: first\n\n');
      await stream.wait;
      context.res.end('data: last\n\n');
    }
  });
  return listen(createServer(app.callback() as RequestListener), stream.open);
};

const startNode: StartService = (kind, client) => {
  const stream = gate();
  const metrics = client === undefined ? undefined : pick(forNode, kind, client);
  const server = createServer((request, response) => {
    metrics?.(request, response);
    const path = request.url!.split('?')[0]!;
    if (path.startsWith('/api/v1/servers/')) {
      if (kind === 'discovery') forNode.annotateMetrics(request, { embeddingTimeMs: 4, topKServices: 5 });
      response.writeHead(200, { ...HEADERS, 'content-type': 'application/json' });
      response.end(JSON.stringify({ id: path.split('/').at(-1) }));
    } else if (path === '/api/v1/servers') response.writeHead(201).end();
    else if (path === '/denied') response.writeHead(403).end('no');
    else if (path === '/throws') {
      response.statusCode = 500;
      response.end('thrown');
    } else if (path === '/events') {
      response.writeHead(200, SSE).write('data: first\n\n');
      stream.wait.then(() => response.end('data: last\n\n')).catch(() => {});
    } else if (path === '/part') response.writeHead(200, { 'content-type': 'text/plain' }).write('part');
    else if (path === '/breaks') breakOff(response);
    else if (path !== '/hangs') response.writeHead(404).end();
  });
  return listen(server, stream.open);
};

const startHono: StartService = (kind, client) => {
  const app = new Hono();
  const stream = gate();
  if (client !== undefined) app.use(pick(forHono, kind, client));
  app.get('/api/v1/servers/:id', (context) => {
    if (kind === 'discovery') forHono.annotateMetrics(context, { embeddingTimeMs: 4, topKServices: 5 });
    for (const [name, value] of Object.entries(HEADERS)) context.header(name, value);
    return context.json({ id: context.req.param('id') });
  });
  app.post('/api/v1/servers', (context) => context.body(null, 201));
  app.get('/denied', () => {
    throw new HTTPException(403, { message: 'no' });
  });
  app.get('/throws', () => {
    throw new Error('thrown');
  });
  app.get('/hangs', async (context) => {
    const { outgoing } = context.env as { outgoing: { once: (event: 'close', then: () => void) => void } };
    await new Promise<void>((resolve) => outgoing.once('close', resolve));
    return context.text('too late');
  });
  app.get('/part', (context) =>
    streamText(context, async (text) => {
      await text.write('part');
      await new Promise<void>((resolve) => text.onAbort(resolve));
    }),
  );
  app.get('/breaks', (context) =>
    streamText(context, async (text) => {
      await text.write('part');
      (context.env as { outgoing: ServerResponse }).outgoing.destroy();
    }),
  );
  app.get('/events', (context) =>
    streamSSE(context, async (events) => {
      await events.writeSSE({ data: 'first' });
      await stream.wait;
      await events.writeSSE({ data: 'last' });
    }),
  );
  app.onError((error, context) =>
    error instanceof HTTPException ? error.getResponse() : context.text(error.message, 500),
  );
  const server = serve({ fetch: app.fetch, port: 0, hostname: '127.0.0.1' }) as Server;
  return listen(server, stream.open);
};

export const SERVICES: Readonly<Record<string, StartService>> = {
  'Express 5': startExpress,
  'Fastify 5': startFastify,
  Koa: startKoa,
  'node:http': startNode,
  Hono: startHono,
};
