import { createServer } from 'node:http';
import { authMetrics } from 'mcp-metrics-gateway/client/node';

const metrics = authMetrics();

createServer((request, response) => {
  metrics(request, response);
  const known = request.headers.authorization === 'Bearer let-me-in';
  response.writeHead(known ? 200 : 401, known ? { 'X-Username': 'alice', 'X-Auth-Method': 'jwt' } : {});
  response.end();
}).listen(Number(process.env['PORT'] ?? 8888));
