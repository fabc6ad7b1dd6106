import { McpServer } from '@modelcontextprotocol/sdk/server/mcp.js';
import { StdioServerTransport } from '@modelcontextprotocol/sdk/server/stdio.js';
import { instrumentMcpServer } from 'mcp-metrics-gateway/client/mcp';
import * as z from 'zod';

const server = new McpServer({ name: 'calculator', version: '1.0.0' });
server.registerTool('add', { inputSchema: { a: z.number(), b: z.number() } }, ({ a, b }) => ({
  content: [{ type: 'text', text: String(a + b) }],
}));

instrumentMcpServer(server);
await server.connect(new StdioServerTransport());
