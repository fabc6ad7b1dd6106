/** Calls in several rounds, as under protocol 2026-07-28, with the real SDK: each round says whether it was the last. */
import { Client, StreamableHTTPClientTransport } from '@modelcontextprotocol/client';
import { acceptedContent, createMcpHandler, inputRequired, McpServer } from '@modelcontextprotocol/server';
import t from 'tap';
import * as z from 'zod';
import { instrumentMcpClient, instrumentMcpServer } from '../../../src/client/mcp/index.ts';
import { captureMetrics } from '../captured-metrics.ts';
import { serveHandler } from './serve-handler.ts';

const confirmation = z.object({ confirm: z.boolean() });

t.test(
  'a call that needs more input succeeds in each round, and the rounds before the last are told apart',
  async (t) => {
    const [onServer, onClient] = [captureMetrics(), captureMetrics()];
    const handler = createMcpHandler(() => {
      const server = new McpServer({ name: 'asking', version: '1' });
      server.registerTool('deploy', {}, async (context) => {
        const confirmed = acceptedContent(context.mcpReq.inputResponses, 'confirm', confirmation);
        if (confirmed !== undefined) return { content: [{ type: 'text', text: 'deployed' }] };
        const confirm = inputRequired.elicit({ message: 'Deploy?', requestedSchema: confirmation });
        return inputRequired({ inputRequests: { confirm } });
      });
      return instrumentMcpServer(server, onServer.client);
    });
    const client = new Client(
      { name: 'asked', version: '1' },
      { versionNegotiation: { mode: 'auto' }, capabilities: { elicitation: { form: {} } } },
    );
    client.setRequestHandler('elicitation/create', async () => ({ action: 'accept', content: { confirm: true } }));
    instrumentMcpClient(client, onClient.client);
    await client.connect(new StreamableHTTPClientTransport(await serveHandler(t, handler)));
    t.match(await client.callTool({ name: 'deploy' }), { content: [{ text: 'deployed' }] });
    await client.close();
    for (const { metrics } of [onServer, onClient]) {
      t.strictSame(
        (await metrics('tool_execution')).map(({ dimensions, metadata }) => [
          dimensions['tool_name'],
          dimensions['success'],
          metadata['error_code'],
          metadata['result_type'],
        ]),
        [
          ['server/discover', true, undefined, undefined],
          ['deploy', true, undefined, 'input_required'],
          ['deploy', true, undefined, undefined],
        ],
      );
    }
  },
);
