import { createServer } from 'node:http';
import { toNodeHandler } from '@modelcontextprotocol/node';
import { createMcpHandler, McpServer } from '@modelcontextprotocol/server';
import { instrumentMcpServer } from 'mcp-metrics-gateway/client/mcp';
import * as z from 'zod';

// Under protocol 2026-07-28 each request has a server of its own: instrument each, where it is made.
const handler = createMcpHandler(() => {
  const server = new McpServer({ name: 'calculator', version: '2.0.0' });
  server.registerTool('add', { inputSchema: z.object({ a: z.number(), b: z.number() }) }, ({ a, b }) => ({
    content: [{ type: 'text', text: String(a + b) }],
  }));
  return instrumentMcpServer(server);
});

const listener = toNodeHandler(handler) as Parameters<typeof createServer>[1];
createServer(listener).listen(Number(process.env['PORT'] ?? 3000));
