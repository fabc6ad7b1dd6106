import Fastify from 'fastify';
import { authMetrics } from 'mcp-metrics-gateway/client/fastify';

const app = Fastify();
await app.register(
  authMetrics({
    method: () => 'session',
    server: ({ url }) => url.split('/')[2],
    when: ({ url }) => url.startsWith('/auth/'),
  }),
);

app.get('/auth/:server', async (request, reply) => {
  const { session } = request.headers;
  if (session === undefined) return reply.status(401).send('log in first');
  return { allowed: true };
});

await app.listen({ port: Number(process.env['PORT'] ?? 3000) });
