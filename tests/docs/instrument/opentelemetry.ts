import { Client, InMemoryTransport } from '@modelcontextprotocol/client';
import { McpServer } from '@modelcontextprotocol/server';
import { ConsoleMetricExporter, MeterProvider, PeriodicExportingMetricReader } from '@opentelemetry/sdk-metrics';
import { defaultMetricsClient } from 'mcp-metrics-gateway/client';
import { instrumentMcpServer } from 'mcp-metrics-gateway/client/mcp';

// The meter provider that the service has anyway; its reader and exporter are its own.
const reader = new PeriodicExportingMetricReader({ exporter: new ConsoleMetricExporter() });
const meterProvider = new MeterProvider({ readers: [reader] });

const server = new McpServer({ name: 'calculator', version: '1.0.0' });
server.registerTool('pi', {}, () => ({ content: [{ type: 'text', text: '3.14' }] }));
instrumentMcpServer(server, defaultMetricsClient(), { meterProvider });

const [near, far] = InMemoryTransport.createLinkedPair();
await server.connect(near);
const client = new Client({ name: 'agent', version: '1.0.0' });
await client.connect(far);
await client.callTool({ name: 'pi', arguments: {} });
await client.close();
await meterProvider.shutdown();
