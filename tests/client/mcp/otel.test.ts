import { Client, InMemoryTransport } from '@modelcontextprotocol/client';
import { McpServer } from '@modelcontextprotocol/server';
import { DataPointType, MeterProvider, MetricReader } from '@opentelemetry/sdk-metrics';
import t from 'tap';
import * as z from 'zod';
import { createMetricsClient } from '../../../src/client/index.ts';
import { instrumentMcpClient, instrumentMcpServer } from '../../../src/client/mcp/index.ts';

class Reader extends MetricReader {
  protected override async onShutdown(): Promise<void> {}
  protected override async onForceFlush(): Promise<void> {}
}

t.test('the semantic conventions are recorded on a meter provider of the user, without a gateway too', async (t) => {
  const reader = new Reader();
  const meterProvider = new MeterProvider({ readers: [reader] });
  const disabled = createMetricsClient({ enabled: false });
  for (let connection = 0; connection < 2; connection += 1) {
    const server = new McpServer({ name: 's', version: '1' });
    server.registerTool('add', { inputSchema: z.object({ a: z.number() }) }, async ({ a }) => ({
      content: [{ type: 'text', text: String(a + 1) }],
      isError: a < 0,
    }));
    server.registerPrompt('hello', {}, async () => ({ messages: [] }));
    instrumentMcpServer(server, disabled, { meterProvider });
    const client = instrumentMcpClient(new Client({ name: 'c', version: '1' }), disabled, { meterProvider });
    const [near, far] = InMemoryTransport.createLinkedPair();
    await server.connect(near);
    await client.connect(far);
    await client.callTool({ name: 'add', arguments: { a: 1 } });
    await client.callTool({ name: 'add', arguments: { a: -1 } });
    await client.callTool({ name: 'none', arguments: {} }).catch(() => {});
    await client.getPrompt({ name: 'hello' });
    await client.close();
  }
  const { resourceMetrics } = await reader.collect();
  const metrics = resourceMetrics.scopeMetrics.flatMap((scope) => scope.metrics);
  t.strictSame(
    metrics
      .map(({ descriptor }) => [descriptor.name, descriptor.unit])
      .sort((a, b) => a.join().localeCompare(b.join())),
    [
      ['mcp.client.operation.duration', 's'],
      ['mcp.client.session.duration', 's'],
      ['mcp.server.operation.duration', 's'],
      ['mcp.server.session.duration', 's'],
    ],
  );
  for (const metric of metrics) {
    if (metric.dataPointType !== DataPointType.HISTOGRAM) throw new Error('expected histograms');
    const { boundaries } = metric.dataPoints[0]!.value.buckets;
    // https://github.com/open-telemetry/semantic-conventions-genai: ExplicitBucketBoundaries of these metrics.
    t.strictSame(boundaries, [0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30, 60, 120, 300]);
    const version = { 'mcp.protocol.version': '2025-11-25' };
    const points = metric.dataPoints.map(({ attributes, value }) => [attributes, value.count]);
    if (metric.descriptor.name.includes('session')) {
      t.strictSame(points, [[version, 2]]);
      continue;
    }
    const tool = { 'mcp.method.name': 'tools/call', 'gen_ai.operation.name': 'execute_tool' };
    const code = '-32602';
    t.strictSame(points, [
      [{ 'mcp.method.name': 'initialize', ...version }, 2],
      [{ ...tool, 'gen_ai.tool.name': 'add', ...version }, 2],
      [{ ...tool, 'gen_ai.tool.name': 'add', 'error.type': 'tool_error', ...version }, 2],
      [{ ...tool, 'gen_ai.tool.name': '_other', 'error.type': code, 'rpc.response.status_code': code, ...version }, 2],
      [{ 'mcp.method.name': 'prompts/get', 'gen_ai.prompt.name': 'hello', ...version }, 2],
    ]);
  }
});
