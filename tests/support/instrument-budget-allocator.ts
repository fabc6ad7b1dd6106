/**
 * Preload for `@modelcontextprotocol/server-budget-allocator` (2.x packages, bundled into it) as its users run it: the
 * program takes its servers from `server.js`, and gets them instrumented.
 */
import { registerHooks } from 'node:module';

const instrumented = `
  import { createServer as create } from '@modelcontextprotocol/server-budget-allocator';
  import { instrumentMcpServer } from 'mcp-metrics-gateway/client/mcp';
  export const createServer = () => instrumentMcpServer(create());`;

registerHooks({
  resolve: (specifier, context, next) =>
    specifier === './server.js' && context.parentURL?.endsWith('/server-budget-allocator/dist/index.js') === true
      ? { url: new URL('instrumented-server.js', import.meta.url).href, shortCircuit: true, format: 'module' }
      : next(specifier, context),
  load: (url, context, next) =>
    url.endsWith('/instrumented-server.js')
      ? { format: 'module', source: instrumented, shortCircuit: true }
      : next(url, context),
});
