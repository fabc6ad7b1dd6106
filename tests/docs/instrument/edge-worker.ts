import { createMetricsClient, type MetricsClient } from 'mcp-metrics-gateway/client';

interface Environment {
  readonly METRICS_SERVICE_URL: string;
  readonly METRICS_API_KEY: string;
}

let metrics: MetricsClient | undefined;

export default {
  fetch(
    request: Request,
    environment: Environment,
    context: { waitUntil: (work: Promise<unknown>) => void },
  ): Response {
    metrics ??= createMetricsClient({
      url: environment.METRICS_SERVICE_URL,
      apiKey: environment.METRICS_API_KEY,
      service: 'edge-router',
    });
    const began = performance.now();
    const response = new Response(`hello from ${new URL(request.url).pathname}`);
    metrics.custom('edge_requests', { durationMs: performance.now() - began });
    // Nothing runs between two requests here: send after the answer.
    context.waitUntil(metrics.flush());
    return response;
  },
};
