/** `instrumentMcpServer` and `instrumentMcpClient`: one line for a server or client of either SDK generation. */
import type { MetricsClient } from '../client.ts';
import { defaultMetricsClient } from '../default-client.ts';
import { createConnection } from './connection.ts';
import type { Direction } from './connection.ts';
import { member } from './message.ts';
import { createRecorder } from './recorder.ts';
import type { McpInstrumentationOptions } from './recorder.ts';
import { tapTransport } from './transport-tap.ts';
import type { TapTransport } from './transport-tap.ts';

export type { McpInstrumentationOptions } from './recorder.ts';
export type { MeterProviderLike } from './otel.ts';

/** What has a `connect`: `McpServer`, `Server` or `Client` of `@modelcontextprotocol/sdk` 1.x or the 2.x packages. */
export interface Connectable {
  readonly connect: (...args: never[]) => Promise<unknown>;
}

type Connect = (transport: unknown, ...rest: readonly unknown[]) => Promise<unknown>;

const instrumented = new WeakSet<object>();

const isTransport = (value: unknown): value is TapTransport => typeof member(value, 'send') === 'function';

function instrument<Peer extends Connectable>(
  peer: Peer,
  main: Direction,
  client: MetricsClient,
  options: McpInstrumentationOptions,
): Peer {
  // `McpServer.connect` goes through that of its inner `Server`, which some callers use directly.
  const inner: unknown = member(peer, 'server');
  const connectable = (typeof member(inner, 'connect') === 'function' ? inner : peer) as { connect: Connect };
  if (instrumented.has(connectable) || (!client.enabled && options.meterProvider === undefined)) return peer;
  instrumented.add(connectable);
  const recorder = createRecorder(peer, main, client, options);
  const tap = (transport: unknown): void => {
    try {
      if (isTransport(transport)) tapTransport(transport, createConnection(transport, recorder));
    } catch {
      // A transport that cannot be observed still works.
    }
  };
  const { connect } = connectable;
  connectable.connect = function (transport, ...rest) {
    tap(transport);
    return connect.call(this, transport, ...rest);
  };
  tap(member(connectable, 'transport'));
  return peer;
}

/**
 * Records every request that the server answers, from its arrival to its answer, and the latencies of each session's
 * protocol steps. Call before `connect`. Nothing of arguments and results is recorded but their size.
 * @param client default: one made from the environment
 * @returns the same server
 */
export function instrumentMcpServer<Server extends Connectable>(
  server: Server,
  client: MetricsClient = defaultMetricsClient(),
  options: McpInstrumentationOptions = {},
): Server {
  return instrument(server, 'received', client, options);
}

/** As `instrumentMcpServer`, for the requests that a client sends. */
export function instrumentMcpClient<Client extends Connectable>(
  mcpClient: Client,
  client: MetricsClient = defaultMetricsClient(),
  options: McpInstrumentationOptions = {},
): Client {
  return instrument(mcpClient, 'sent', client, options);
}
