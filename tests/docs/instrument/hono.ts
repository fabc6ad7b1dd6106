import { serve } from '@hono/node-server';
import { Hono } from 'hono';
import { authMetrics } from 'mcp-metrics-gateway/client/hono';

const app = new Hono();
app.use('/validate', authMetrics());

app.get('/validate', (context) => {
  if (context.req.header('authorization') !== 'Bearer let-me-in') return context.text('who are you?', 401);
  // Where the metric finds its user (sent as a hash) and method, unless options say otherwise.
  context.header('X-Username', 'alice');
  context.header('X-Auth-Method', 'jwt');
  return context.text('welcome');
});

serve({ fetch: app.fetch, port: Number(process.env['PORT'] ?? 8888) });
