import express from 'express';
import { annotateMetrics, discoveryMetrics, registryMetrics } from 'mcp-metrics-gateway/client/express';

const app = express();
// One middleware for each kind of metric, in front of the routes that it is about.
app.use('/api/servers', registryMetrics({ resourceId: ({ url }) => url.split('/')[3] }));
app.use('/api/search', discoveryMetrics());

app.get('/api/servers/:id', (request, response) => {
  response.json({ id: request.params.id });
});

app.get('/api/search', (request, response) => {
  const results = ['weather', 'currenttime'];
  // What no header tells. The query itself is found in `?query=` or `?q=`, and cut.
  annotateMetrics(request, { resultsCount: results.length, embeddingTimeMs: 3.1, searchTimeMs: 0.4 });
  response.json(results);
});

app.listen(Number(process.env['PORT'] ?? 3000));
