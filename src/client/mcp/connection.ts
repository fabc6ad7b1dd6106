/** What one connection's messages tell: every request from its seeing to its answer, whatever way it ends. */
import { monotonicNow } from '../runtime.ts';
import type { Tap, TapTransport } from './transport-tap.ts';
import { jsonBytes } from './json-size.ts';
import { member, metaMember, readMessage, textMember, versionOf } from './message.ts';
import type { Message, RequestId } from './message.ts';
import { createOpenRequests } from './open-requests.ts';
import type { OpenRequest, OpenRequests } from './open-requests.ts';
import { createSession } from './session.ts';
import type { Session } from './session.ts';
import type { Recorder } from './recorder.ts';
import { readTraits } from './transport-traits.ts';

/** Which way a request goes, seen from the side that is instrumented. */
export type Direction = 'received' | 'sent';

/** How a request ended. `errorCode` is absent where it succeeded. */
export interface Outcome {
  readonly errorCode?: string;
  /** The peer's JSON-RPC error code, where that is how it ended. */
  readonly rpcCode?: number;
  readonly outputBytes?: number;
  readonly result?: unknown;
}

type Request = Extract<Message, { kind: 'request' }>;
type Response = Extract<Message, { kind: 'response' }>;
type Notification = Extract<Message, { kind: 'notification' }>;

/** Both SDK generations hand the HTTP request's headers over, the one as an object, the other as `Headers`. */
function header(extra: unknown, name: string): string | undefined {
  const headers = member(member(extra, 'request'), 'headers') ?? member(member(extra, 'requestInfo'), 'headers');
  if (typeof Headers === 'function' && headers instanceof Headers) return headers.get(name) ?? undefined;
  return textMember(headers, name);
}

const opposite = (direction: Direction): Direction => (direction === 'sent' ? 'received' : 'sent');

const isTimeout = (reason: unknown): boolean => typeof reason === 'string' && /time[sd]?[ -]?out/i.test(reason);

function outcomeOf(message: Response, outputBytes: number): Outcome {
  const code = member(message.error, 'code');
  if (message.error !== undefined) {
    const known = typeof code === 'number';
    return { errorCode: known ? String(code) : 'error', outputBytes, ...(known && { rpcCode: code }) };
  }
  // A tool that failed answers with a result that says so; the name is the semantic conventions'.
  const failed = member(message.result, 'isError') === true;
  return { outputBytes, result: message.result, ...(failed && { errorCode: 'tool_error' }) };
}

/** Follows one connection. What it finds goes to the recorder. */
export function createConnection(transport: TapTransport, recorder: Recorder): Tap {
  const traits = readTraits(transport);
  const open: Readonly<Record<Direction, OpenRequests>> = {
    received: createOpenRequests(),
    sent: createOpenRequests(),
  };
  let own: Session | undefined;

  const sessionOf = (extra: unknown): Session => {
    const now = monotonicNow();
    // A client learns the id from the answer to its first request: the session is that of its connection all the same.
    const known = recorder.main === 'sent' && own !== undefined ? undefined : transport.sessionId;
    const id =
      recorder.sessionId(extra) ?? header(extra, 'mcp-session-id') ?? (typeof known === 'string' ? known : undefined);
    // Over HTTP without a session id, requests of many callers may share a transport: each tells who it is from by itself.
    if (id === undefined && traits.isHttpServer) return createSession(undefined, now);
    if (id !== undefined) own = recorder.sessions(id, () => createSession(recorder.sessionKey(id), now));
    own ??= createSession(recorder.sessionKey(undefined), now);
    return own;
  };

  const begin = (direction: Direction, message: Request, raw: unknown, extra: unknown): void => {
    const { id, method, params } = message;
    const session = sessionOf(extra);
    const info =
      metaMember(params, 'clientInfo') ?? (method === 'initialize' ? member(params, 'clientInfo') : undefined);
    if (info !== undefined && direction === recorder.main) {
      session.clientName = textMember(info, 'name');
      session.clientVersion = textMember(info, 'version');
    }
    session.protocolVersion =
      versionOf(metaMember(params, 'protocolVersion') ?? header(extra, 'mcp-protocol-version')) ??
      session.protocolVersion;
    const inputBytes = jsonBytes(raw);
    const startedAt = monotonicNow();
    if (direction === recorder.main) recorder.flows(session.note(method, startedAt), session);
    open[direction].add(id, {
      method,
      name: method === 'tools/call' || method === 'prompts/get' ? (textMember(params, 'name') ?? '') : undefined,
      startedAt,
      inputBytes,
      session,
      clientName: session.clientName,
      clientVersion: session.clientVersion,
      protocolVersion: session.protocolVersion,
      userHash: recorder.userHash(extra),
      progressToken: member(member(params, '_meta'), 'progressToken'),
      duplicate: open[direction].has(id),
      progress: 0,
    });
  };

  const finish = (direction: Direction, request: OpenRequest | undefined, outcome: Outcome): void => {
    if (request !== undefined) recorder.operation(direction, request, outcome, monotonicNow(), traits);
  };

  const notified = (direction: Direction, message: Notification, raw: unknown): void => {
    const { method, params } = message;
    const answered = opposite(direction);
    if (method === 'notifications/cancelled') {
      const id = member(params, 'requestId');
      if (typeof id === 'string' || typeof id === 'number') {
        const errorCode = isTimeout(member(params, 'reason')) ? 'timeout' : 'cancelled';
        finish(direction, open[direction].take(id), { errorCode });
      }
    } else if (method === 'notifications/progress') {
      // Progress comes from the side that works on the request.
      const request = open[answered].withToken(member(params, 'progressToken'));
      if (request !== undefined) request.progress += 1;
    } else if (method === 'notifications/subscriptions/acknowledged') {
      // The only good answer that `subscriptions/listen` has: how long its stream lasts and which side ends it says nothing of its success.
      const id = metaMember(params, 'subscriptionId') as RequestId;
      finish(answered, open[answered].take(id), { outputBytes: jsonBytes(raw) });
    }
    recorder.notification(direction, method);
  };

  const observe = (direction: Direction, raw: unknown, extra: unknown): void => {
    if (Array.isArray(raw)) {
      for (const one of raw) observe(direction, one, extra);
      return;
    }
    const message = readMessage(raw);
    if (message?.kind === 'request') begin(direction, message, raw, extra);
    else if (message?.kind === 'notification') notified(direction, message, raw);
    else if (message?.kind === 'response') {
      const answered = opposite(direction);
      if (open[answered].has(message.id)) {
        const request = open[answered].take(message.id);
        finish(answered, request, outcomeOf(message, jsonBytes(raw)));
      }
    }
  };

  return {
    received: (message, extra) => observe('received', message, extra),
    sent: (message, options) => {
      observe('sent', message, undefined);
      // Over HTTP under 2026-07-28 a client cancels by ending the request, not by a message.
      const signal = member(options, 'requestSignal');
      const request = readMessage(message);
      if (signal instanceof AbortSignal && request?.kind === 'request') {
        const cancel = (): void => finish('sent', open.sent.take(request.id), { errorCode: 'cancelled' });
        signal.addEventListener('abort', cancel, { once: true });
      }
    },
    failed: (message, error) => {
      const request = readMessage(message);
      if (request?.kind !== 'request') return;
      const status = member(error, 'status') ?? member(member(error, 'data'), 'status') ?? member(error, 'code');
      const errorCode = typeof status === 'number' && status > 0 ? String(status) : 'send_failed';
      finish('sent', open.sent.take(request.id), { errorCode });
    },
    closed: () => {
      for (const direction of ['received', 'sent'] as const) {
        for (const request of open[direction].takeAll()) finish(direction, request, { errorCode: 'connection_closed' });
      }
      if (own !== undefined) recorder.connectionClosed(own, monotonicNow(), traits);
      own = undefined;
    },
  };
}
