// The same server as mcp_server.py, with the TypeScript SDK and its instrumentation, over stdio: what it records is
// what the Python instrumentation has to record for the same conversation.
import { McpServer } from '@modelcontextprotocol/sdk/server/mcp.js';
import { StdioServerTransport } from '@modelcontextprotocol/sdk/server/stdio.js';
import { createMetricsClient } from 'mcp-metrics-gateway/client';
import { instrumentMcpServer } from 'mcp-metrics-gateway/client/mcp';
import * as z from 'zod';

const server = new McpServer({ name: 'test-server', version: '1.0.0' }, { capabilities: { logging: {} } });
const text = (value) => ({ content: [{ type: 'text', text: String(value) }] });
const numbers = { a: z.number(), b: z.number() };

server.registerTool('add', { inputSchema: numbers }, ({ a, b }) => text(a + b));
server.registerTool('fail', {}, () => {
  throw new Error('the tool broke');
});
server.registerTool('wait', {}, async () => {
  await new Promise((resolve) => setTimeout(resolve, 60_000).unref());
  return text('done');
});
server.registerTool('ask', {}, async () => {
  const answer = await server.server.createMessage({
    messages: [{ role: 'user', content: { type: 'text', text: 'who?' } }],
    maxTokens: 10,
  });
  return text(answer.content.text);
});
server.registerTool('progress', {}, async ({ _meta, sendNotification }) => {
  for (const progress of [1, 2]) {
    const params = { progressToken: _meta.progressToken, progress, total: 2 };
    await sendNotification({ method: 'notifications/progress', params });
  }
  return text('done');
});
server.registerTool('change', {}, async () => {
  await server.server.sendToolListChanged();
  return text('done');
});

instrumentMcpServer(server, createMetricsClient({ flushIntervalMs: 20 }), { notifications: true });
await server.connect(new StdioServerTransport());
// This transport does not notice by itself that its client is gone.
process.stdin.on('end', () => server.close());
