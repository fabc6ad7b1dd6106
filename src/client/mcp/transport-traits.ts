/** What kind of transport this is, found by what it has: classes differ by SDK, and names by bundler. */
import { member } from './message.ts';
import type { Attributes } from './otel.ts';

export interface TransportTraits {
  /** Standard input and output: when it closes, the program is about to end. */
  readonly isPipe: boolean;
  /** A server's side of HTTP, where a connection need not be a session. */
  readonly isHttpServer: boolean;
  /** OpenTelemetry semantic conventions for MCP, "Recording MCP transport", and the server's address where a client knows it. */
  readonly attributes: Attributes;
}

const has = (transport: object, ...names: readonly string[]): boolean => names.some((name) => name in transport);

export function readTraits(transport: object): TransportTraits {
  const isHttpServer = has(transport, 'handleRequest', 'handleMessage', 'handlePostMessage');
  const url = member(transport, '_url');
  const isPipe = !isHttpServer && url === undefined && has(transport, '_stdin', '_serverParams', '_wire');
  const isHttp = isHttpServer || url instanceof URL;
  return {
    isPipe,
    isHttpServer,
    attributes: {
      ...(isPipe && { 'network.transport': 'pipe' }),
      ...(isHttp && { 'network.transport': 'tcp', 'network.protocol.name': 'http' }),
      ...(url instanceof URL && {
        'server.address': url.hostname,
        'server.port': Number(url.port) || (url.protocol === 'https:' ? 443 : 80),
      }),
    },
  };
}
