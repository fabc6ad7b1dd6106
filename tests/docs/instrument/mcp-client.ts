import { Client, StreamableHTTPClientTransport } from '@modelcontextprotocol/client';
import { instrumentMcpClient } from 'mcp-metrics-gateway/client/mcp';

const client = new Client({ name: 'agent', version: '1.0.0' }, { versionNegotiation: { mode: 'auto' } });
instrumentMcpClient(client);

await client.connect(new StreamableHTTPClientTransport(new URL(process.env['MCP_URL'] ?? 'http://127.0.0.1:3000/mcp')));
await client.listTools();
const result = await client.callTool({ name: 'add', arguments: { a: 1, b: 2 } });
console.log(JSON.stringify(result.content));
await client.close();
