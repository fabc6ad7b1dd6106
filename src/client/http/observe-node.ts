/** Follows an answer of Node's HTTP server to its end, by its own events: nothing is wrapped but `writeHead`. */
import { monotonicNow } from '../runtime.ts';
import type { Exchange, Report } from './exchange.ts';

/** `http.IncomingMessage`, as far as it is used here. */
export interface NodeRequest {
  readonly method?: string | undefined;
  readonly url?: string | undefined;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
}

/** `http.ServerResponse` and HTTP/2's, as far as they are used here. */
export interface NodeResponse {
  readonly statusCode: number;
  readonly headersSent: boolean;
  readonly writableEnded: boolean;
  readonly writableFinished?: boolean;
  readonly socket?: unknown;
  /** HTTP/2 alone. */
  readonly stream?: unknown;
  readonly getHeader: (name: string) => unknown;
  readonly on: (event: 'finish' | 'close', listener: () => void) => unknown;
}

type WriteHead = (this: unknown, ...args: unknown[]) => unknown;

const textOf = (value: unknown): string | undefined => {
  const first: unknown = Array.isArray(value) ? value[0] : value;
  return typeof first === 'string' ? first : typeof first === 'number' ? String(first) : undefined;
};

/** Headers given to `writeHead` as an object or a flat list; Node does not show those in `getHeader`. */
function givenHeader(args: readonly unknown[], name: string): string | undefined {
  const given: unknown = args.at(-1);
  if (typeof given !== 'object' || given === null) return undefined;
  const list: readonly unknown[] = (Array.isArray(given) ? (given as unknown[]) : Object.entries(given)).flat();
  const at = list.findIndex((key, index) => index % 2 === 0 && String(key).toLowerCase() === name);
  return at < 0 ? undefined : textOf(list[at + 1]);
}

const member = (value: unknown, name: string): unknown =>
  typeof value === 'object' && value !== null ? (value as Readonly<Record<string, unknown>>)[name] : undefined;

/** Express' `req.route.path` below `req.baseUrl`, Fastify's `request.routeOptions.url`, Koa's routers' `ctx._matchedRoute`. */
function routeOf(raw: object): string | undefined {
  const path = member(member(raw, 'route'), 'path');
  if (typeof path === 'string') return `${textOf(member(raw, 'baseUrl')) ?? ''}${path}`;
  return textOf(member(member(raw, 'routeOptions'), 'url') ?? member(raw, '_matchedRoute'));
}

/** How an answer ended: whole, given up by its client, or broken off by the service itself. */
export type Ending = 'whole' | 'aborted' | 'broken';

/** RFC 9113, section 7: CANCEL, which is also what Node makes of a connection that is gone. */
const CANCEL = 8;

/** Whether the client hung up or reset the connection. What the service destroys shows neither. */
function clientLeft(response: NodeResponse): boolean {
  const connection = response.stream ?? response.socket;
  if (member(connection, 'readableEnded') !== false || member(connection, 'rstCode') === CANCEL) return true;
  // An error of the service's own, given to `destroy`, is in both; writes that wait when it destroys are cancelled.
  const error = member(connection, 'errored');
  const cancelled = member(error, 'code') === 'ECANCELED';
  return response.stream === undefined && !!error && !cancelled && !member(response, 'errored');
}

/** Calls back, possibly twice, when an answer is complete or its connection is gone. HTTP/2 says `finish` either way; its stream knows better. */
export function onAnswerEnd(response: NodeResponse, done: (ending: Ending) => void): void {
  const end = (whole: boolean): void => done(whole ? 'whole' : clientLeft(response) ? 'aborted' : 'broken');
  response.on('finish', () => end(response.writableEnded && member(response.stream, 'writableFinished') !== false));
  response.on('close', () => end(response.writableFinished ?? response.writableEnded));
}

/** Calls back when the head of an answer is sent: with what `writeHead` was given, and whether an event stream begins. */
export function onAnswerHead(
  response: NodeResponse,
  sent: (args: readonly unknown[], isStream: boolean) => void,
): void {
  const head = response as unknown as { writeHead: WriteHead };
  const { writeHead } = head;
  head.writeHead = function (...args) {
    const result = writeHead.apply(this, args);
    const type = textOf(response.getHeader('content-type')) ?? givenHeader(args, 'content-type');
    sent(args, /^text\/event-stream/i.test(type ?? ''));
    return result;
  };
}

/**
 * Reports a request once: when its answer is complete or its connection gone; for an event stream, when that begins.
 * @param raw what the framework's handlers know the request by
 */
export function observeNode<Raw extends object>(
  request: NodeRequest,
  response: NodeResponse,
  raw: Raw,
  report: Report<Raw>,
): void {
  const startedAt = monotonicNow();
  // Routers below rewrite the address.
  const url = textOf(member(request, 'originalUrl')) ?? request.url ?? '';
  let headAt: number | undefined;
  let headArguments: readonly unknown[] = [];
  let reported = false;

  const exchange = (ending: Ending): Exchange<Raw> => ({
    method: request.method ?? '',
    url,
    route: routeOf(raw),
    requestHeader: (name) => textOf(request.headers[name.toLowerCase()]),
    responseHeader: (name) => textOf(response.getHeader(name)) ?? givenHeader(headArguments, name.toLowerCase()),
    status: ending === 'broken' || (headAt === undefined && !response.headersSent) ? 0 : response.statusCode,
    aborted: ending === 'aborted',
    durationMs: (headAt ?? monotonicNow()) - startedAt,
    raw,
  });
  const done = (ending: Ending): void => {
    if (reported) return;
    reported = true;
    report(exchange(ending));
  };

  onAnswerHead(response, (args, isStream) => {
    headAt ??= monotonicNow();
    headArguments = args;
    if (isStream) done('whole');
  });
  onAnswerEnd(response, done);
}
