/**
 * Preload for `@modelcontextprotocol/server-everything` (SDK 1.x) as its users run it: every server that it makes is
 * instrumented as it connects. What a service of one's own does is the one line with `instrumentMcpServer`.
 */
import { McpServer } from '@modelcontextprotocol/sdk/server/mcp.js';
import { instrumentMcpServer } from 'mcp-metrics-gateway/client/mcp';

const { connect } = McpServer.prototype;
McpServer.prototype.connect = function (transport) {
  instrumentMcpServer(this);
  return connect.call(this, transport);
};
