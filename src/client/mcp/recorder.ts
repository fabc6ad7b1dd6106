/** Turns what connections see into metrics: for the gateway, and for OpenTelemetry where a meter provider is given. */
import { ask } from '../ask.ts';
import type { MetricsClient } from '../client.ts';
import type { Direction, Outcome } from './connection.ts';
import { member, metaMember, textMember, versionOf } from './message.ts';
import { createNames, methodLabel, OTHER } from './names.ts';
import type { Names } from './names.ts';
import type { OpenRequest } from './open-requests.ts';
import { instrumentsOf } from './otel.ts';
import type { Attributes, MeterProviderLike } from './otel.ts';
import { createSessions } from './session.ts';
import type { Flow, Session } from './session.ts';
import type { TransportTraits } from './transport-traits.ts';

export interface McpInstrumentationOptions {
  /** `server_name` of the metrics. Default the name under which the server presents itself. */
  readonly serverName?: string;
  /**
   * The session that a received request belongs to, for transports that do not say. `extra` is what the SDK hands on with a
   * message; where it hands on nothing (stdio, in memory) neither this nor `user` is asked.
   */
  readonly session?: (extra: unknown) => string | undefined;
  /** Who sent a received request; only the hash is recorded. Default nobody. */
  readonly user?: (extra: unknown) => string | undefined;
  /** Counts notifications too, apart from requests, as the custom metric `mcp_notifications`. Default false. */
  readonly notifications?: boolean;
  /** Records the OpenTelemetry semantic conventions' metrics for MCP as well. */
  readonly meterProvider?: MeterProviderLike;
}

export interface Recorder {
  /** The direction that this side is instrumented for: a server receives, a client sends. */
  readonly main: Direction;
  readonly sessions: (id: string, make: () => Session) => Session;
  readonly sessionId: (extra: unknown) => string | undefined;
  /** An opaque key for a session: its id may be a credential. */
  readonly sessionKey: (id: string | undefined) => string;
  readonly userHash: (extra: unknown) => string | undefined;
  readonly flows: (flows: readonly Flow[], session: Session) => void;
  readonly operation: (
    direction: Direction,
    request: OpenRequest,
    outcome: Outcome,
    now: number,
    traits: TransportTraits,
  ) => void;
  readonly notification: (direction: Direction, method: string) => void;
  readonly connectionClosed: (session: Session, now: number, traits: TransportTraits) => void;
}

/** What is learned of a server over all its connections; a server may be made anew for each request. */
interface Shared {
  readonly tools: Names;
  readonly prompts: Names;
  readonly extensions: Names;
  readonly sessions: (id: string, make: () => Session) => Session;
}

const shared = new WeakMap<MetricsClient, Map<string, Shared>>();
const MAX_SERVERS = 100;

const newShared = (): Shared => ({
  tools: createNames('tools'),
  prompts: createNames('prompts'),
  extensions: createNames('tools'),
  sessions: createSessions(),
});

function sharedOf(client: MetricsClient, name: string): Shared {
  const servers = shared.get(client) ?? new Map<string, Shared>();
  shared.set(client, servers);
  const found = servers.get(name) ?? newShared();
  if (servers.size < MAX_SERVERS) servers.set(name, found);
  return found;
}

/** A result's `resultType` under protocol 2026-07-28. */
const INPUT_REQUIRED = 'input_required';

/** Where both SDK generations keep what a server was made with; read with care, since it is theirs. */
const registered = (peer: object, list: string): unknown => member(peer, `_registered${list}`);

export function createRecorder(
  peer: object,
  main: Direction,
  client: MetricsClient,
  options: McpInstrumentationOptions,
): Recorder {
  let serverName = options.serverName ?? textMember(member(member(peer, 'server') ?? peer, '_serverInfo'), 'name');
  // A client speaks to one server, whose name it does not know yet.
  const known = main === 'sent' || serverName === undefined ? newShared() : sharedOf(client, serverName);
  const instruments = options.meterProvider === undefined ? undefined : instrumentsOf(options.meterProvider);

  /** The server's side of a request that goes this way. */
  const side = (direction: Direction): 'server' | 'client' => (direction === 'received' ? 'server' : 'client');

  const learn = (request: OpenRequest, result: unknown): void => {
    if (request.method === 'tools/list') known.tools.learn(result);
    else if (request.method === 'prompts/list') known.prompts.learn(result);
    const version = versionOf(member(result, 'protocolVersion'));
    if (request.method === 'initialize' && version !== undefined) request.session.protocolVersion = version;
    const info = metaMember(result, 'serverInfo') ?? member(result, 'serverInfo');
    if (options.serverName === undefined) serverName = textMember(info, 'name') ?? serverName;
  };

  const common = ({ attributes }: TransportTraits, version: string | undefined): Attributes => ({
    ...attributes,
    ...(version !== undefined && { 'mcp.protocol.version': version }),
  });

  const askAbout = (extra: unknown, option: 'session' | 'user'): string | undefined =>
    extra === undefined ? undefined : ask(client, option, 'string', options[option], extra);

  return {
    main,
    sessions: known.sessions,
    sessionId: (extra) => askAbout(extra, 'session'),
    sessionKey: (id) => client.hashUser(`mcp-session ${id ?? Math.random()}`),
    userHash: (extra) => {
      const user = askAbout(extra, 'user');
      return user === undefined ? undefined : client.hashUser(user);
    },
    flows: (flows, session) => {
      for (const { step, seconds, from, to } of flows) {
        client.protocolLatency({
          flowStep: step,
          latencySeconds: seconds,
          serverName,
          sessionKey: session.key,
          metadata: { from_method: from, to_method: to, latency_seconds: seconds },
        });
      }
    },
    operation: (direction, request, { errorCode, rpcCode, outputBytes, result }, now, traits) => {
      const success = errorCode === undefined;
      if (direction === main && result !== undefined) learn(request, result);
      const method = methodLabel(request.method, known.extensions, success);
      const isTool = request.method === 'tools/call';
      const names = isTool ? known.tools : known.prompts;
      const register = registered(peer, isTool ? 'Tools' : 'Prompts');
      const name = request.name === undefined ? undefined : names.label(request.name, success, register);
      const { protocolVersion = request.session.protocolVersion, session } = request;
      const milliseconds = now - request.startedAt;

      client.toolExecution({
        toolName: isTool ? (name ?? OTHER) : method,
        method,
        success,
        durationMs: milliseconds,
        serverName,
        clientName: request.clientName,
        clientVersion: request.clientVersion,
        userHash: request.userHash,
        errorCode,
        inputSizeBytes: request.inputBytes,
        outputSizeBytes: outputBytes ?? 0,
        ...(session.key !== undefined && { dimensions: { session_key: session.key } }),
        metadata: {
          protocol_version: protocolVersion,
          // What a caller asked for that the server does not have: kept to look at, never a label.
          ...(isTool && { actual_tool_name: request.name?.slice(0, 100) }),
          ...(request.progress > 0 && { progress_notifications: request.progress }),
          ...(request.duplicate && { duplicate_id: true }),
          // The caller is asked for more, and calls again with it: good as far as it goes, and not the call's end.
          ...(member(result, 'resultType') === INPUT_REQUIRED && { result_type: INPUT_REQUIRED }),
          ...(direction !== main && { initiator: main === 'received' ? 'server' : 'client' }),
        },
      });
      instruments?.operation(side(direction), milliseconds / 1000, {
        'mcp.method.name': method,
        ...(isTool && { 'gen_ai.operation.name': 'execute_tool', 'gen_ai.tool.name': name ?? OTHER }),
        ...(!isTool && name !== undefined && { 'gen_ai.prompt.name': name }),
        ...(errorCode !== undefined && { 'error.type': errorCode }),
        ...(rpcCode !== undefined && { 'rpc.response.status_code': String(rpcCode) }),
        ...common(traits, protocolVersion),
      });
    },
    notification: (direction, method) => {
      // Only the server's own word: it has other names from now on.
      if (direction !== main) {
        if (method === 'notifications/tools/list_changed') known.tools.forgetList();
        else if (method === 'notifications/prompts/list_changed') known.prompts.forgetList();
      }
      if (options.notifications !== true) return;
      const label = methodLabel(method, known.extensions, false);
      client.custom('mcp_notifications', { dimensions: { method: label, direction, server_name: serverName } });
    },
    connectionClosed: (session, now, traits) => {
      if (session.key !== undefined && session.requests > 0) {
        const attributes = common(traits, session.protocolVersion);
        instruments?.session(main === 'received' ? 'server' : 'client', (now - session.beganAt) / 1000, attributes);
      }
      // A server over stdio is about to end, within the two seconds that its host gives it.
      if (traits.isPipe && main === 'received') client.flush({ timeoutMs: 1000, final: true }).catch(() => {});
    },
  };
}
