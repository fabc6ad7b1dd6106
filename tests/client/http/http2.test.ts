/** HTTP/2: Node says `finish` of an answer that was given up too. */
import { once } from 'node:events';
import { connect, createServer, type ClientHttp2Session, type ClientHttp2Stream, type Http2Server } from 'node:http2';
import type { AddressInfo } from 'node:net';
import { createAdaptorServer } from '@hono/node-server';
import Fastify from 'fastify';
import { Hono } from 'hono';
import { stream } from 'hono/streaming';
import Koa from 'koa';
import t from 'tap';
import type { MetricsClient } from '../../../src/client/index.ts';
import * as forFastify from '../../../src/client/http/fastify.ts';
import * as forHono from '../../../src/client/http/hono.ts';
import * as forKoa from '../../../src/client/http/koa.ts';
import * as forNode from '../../../src/client/http/node.ts';
import { waitFor } from '../../support/wait-for.ts';
import { captureMetrics } from '../captured-metrics.ts';

/** `/whole` is answered, `/part` begins and does not end, `/large` is ended while most of it waits for its reader. */
const LARGE = 'x'.repeat(1_000_000);

const SERVERS: Readonly<Record<string, (client: MetricsClient) => Promise<Http2Server>>> = {
  'node:http2': async (client) => {
    const metrics = forNode.authMetrics({ client });
    return createServer((request, response) => {
      metrics(request, response);
      response.writeHead(200, { 'content-type': 'text/plain' });
      if (request.url === '/part') response.write('part');
      else if (request.url === '/breaks') response.write('part', () => response.stream.destroy());
      else response.end(request.url === '/large' ? LARGE : 'whole');
    });
  },
  Koa: async (client) => {
    const app = new Koa();
    app.silent = true;
    app.use(forKoa.authMetrics({ client }));
    app.use((context) => {
      context.respond = context.path !== '/part';
      if (context.path === '/part') context.res.writeHead(200).write('part');
      else context.body = context.path === '/large' ? LARGE : 'whole';
    });
    return createServer(app.callback() as Parameters<typeof createServer>[1]);
  },
  Fastify: async (client) => {
    const app = Fastify({ http2: true });
    await app.register(forFastify.authMetrics({ client }));
    app.get('/whole', async () => 'whole');
    app.get('/large', async () => LARGE);
    app.get('/part', (_, reply) => {
      reply.hijack();
      reply.raw.writeHead(200).write('part');
    });
    await app.ready();
    return app.server;
  },
  Hono: async (client) => {
    const app = new Hono();
    app.use(forHono.authMetrics({ client }));
    app.get('/whole', (context) => context.text('whole'));
    app.get('/large', (context) => context.text(LARGE));
    app.get('/part', (context) =>
      stream(context, async (body) => {
        await body.write('part');
        await new Promise<void>((resolve) => body.onAbort(resolve));
      }),
    );
    return createAdaptorServer({ fetch: app.fetch, createServer }) as Http2Server;
  },
};

async function begin(session: ClientHttp2Session, path: string): Promise<ClientHttp2Stream> {
  const stream = session.request({ ':path': path });
  stream.on('error', () => {});
  await once(stream, 'response');
  return stream;
}

for (const [framework, start] of Object.entries(SERVERS)) {
  t.test(`${framework} over HTTP/2: answers that are given up are told apart from whole ones`, async (t) => {
    const { client, metrics } = captureMetrics();
    const server = await start(client);
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const session = connect(`http://127.0.0.1:${(server.address() as AddressInfo).port}`);
    t.teardown(() => {
      session.destroy();
      server.close();
    });
    const outcomes = async (count: number): Promise<unknown[]> => {
      await waitFor(`${count} metrics`, async () => (await metrics()).length >= count);
      return (await metrics()).map(({ metadata }) => metadata['error_code']);
    };

    const whole = await begin(session, '/whole');
    whole.resume();
    await once(whole, 'close');
    t.strictSame(await outcomes(1), [undefined]);
    for (const [index, path] of ['/part', '/large'].entries()) {
      const stream = await begin(session, path);
      // Not read: what does not fit into the window waits in the server.
      stream.close(8);
      t.strictSame(
        (await outcomes(index + 2)).slice(1),
        Array.from({ length: index + 1 }, () => 'aborted'),
      );
    }
  });
}

t.test('over HTTP/2 an answer that the service itself breaks off is its own failure', async (t) => {
  const { client, metrics } = captureMetrics();
  const server = await SERVERS['node:http2']!(client);
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const session = connect(`http://127.0.0.1:${(server.address() as AddressInfo).port}`);
  t.teardown(() => {
    session.destroy();
    server.close();
  });
  const stream = await begin(session, '/breaks');
  stream.resume();
  await once(stream, 'close');
  await waitFor('the metric', async () => (await metrics()).length > 0);
  t.match(await metrics(), [{ dimensions: { success: false }, metadata: { error_code: 'error' } }]);
});
