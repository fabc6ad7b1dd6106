import Koa from 'koa';
import { registryMetrics } from 'mcp-metrics-gateway/client/koa';

const app = new Koa();
app.use(registryMetrics({ resourceType: () => 'agent' }));
app.use((context) => {
  context.status = context.method === 'POST' ? 201 : 200;
  context.body = { path: context.path };
});
app.listen(Number(process.env['PORT'] ?? 3000));
