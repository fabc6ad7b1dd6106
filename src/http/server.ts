/** The listener: Node's HTTP or HTTPS server around the app, with its limits, and an orderly end. */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import type { AddressInfo, Socket } from 'node:net';
import { getRequestListener } from '@hono/node-server';
import type { ServerOptions, TlsOptions } from '../core/pipeline.ts';
import { Refusal } from '../core/refusal.ts';
import { SECURITY_HEADERS, STRICT_TRANSPORT } from '../core/security-headers.ts';
import type { App } from './app.ts';
import { problemOf } from './problem.ts';
import { newRequestId } from './request-id.ts';

/** What `server` of the pipeline says of the listener; the defaults stand there. */
export type ListenOptions = Pick<
  ServerOptions,
  | 'host'
  | 'port'
  | 'tls'
  | 'headersTimeoutMs'
  | 'requestTimeoutMs'
  | 'keepAliveTimeoutMs'
  | 'maxHeaderBytes'
  | 'maxConnections'
>;

export interface Listener {
  readonly host: string;
  readonly port: number;
  readonly protocol: 'http' | 'https';
  /** Stops accepting, lets requests under way get their answer, then closes. After `graceMs` it cuts what is left. */
  readonly close: (graceMs?: number) => Promise<void>;
}

const BROKEN_LINGER_MS = 2000;
const SWEEP_MS = 10;

export async function listen(app: Pick<App, 'fetch' | 'ingest'>, options: ListenOptions = {}): Promise<Listener> {
  const { host = '127.0.0.1', port = 8890, tls } = options;
  const settings = {
    headersTimeout: options.headersTimeoutMs ?? 10_000,
    requestTimeout: options.requestTimeoutMs ?? 120_000,
    keepAliveTimeout: options.keepAliveTimeoutMs ?? 75_000,
    maxHeaderSize: options.maxHeaderBytes ?? 16 * 1024,
    connectionsCheckingInterval: 1000,
    noDelay: true,
  };
  const server: Server = tls === undefined ? createServer(settings) : createTlsServer({ ...settings, ...pemOf(tls) });
  server.maxConnections = options.maxConnections ?? 10_000;
  server.maxHeadersCount = 100;

  const toApp = getRequestListener(app.fetch, { autoCleanupIncoming: false, hostname: 'localhost' });
  /** Open connections, each with its latest answer while that is under way: afterwards nothing of a request is kept. */
  const connections = new Map<Socket, ServerResponse | undefined>();
  server.on(tls === undefined ? 'connection' : 'secureConnection', (socket: Socket) => {
    connections.set(socket, undefined);
    socket.once('close', () => connections.delete(socket));
  });
  function answered(this: ServerResponse): void {
    const { socket } = this.req;
    if (connections.get(socket) === this) connections.set(socket, undefined);
  }
  let closing = false;
  const handle = (incoming: IncomingMessage, outgoing: ServerResponse): void => {
    if (closing) outgoing.setHeader('Connection', 'close');
    if (tls !== undefined) outgoing.setHeader(...STRICT_TRANSPORT);
    connections.set(incoming.socket, outgoing);
    outgoing.on('finish', answered);
    if (incoming.url === '/metrics' && incoming.method === 'POST') app.ingest(incoming, outgoing);
    else toApp(incoming, outgoing).catch(() => outgoing.destroy());
  };
  server.on('request', handle);
  // Nobody is told to go on before the key was checked; other expectations may be ignored (RFC 9110, section 10.1.1).
  server.on('checkContinue', handle);
  server.on('checkExpectation', handle);
  server.on('clientError', (error: NodeJS.ErrnoException, socket: Socket) => {
    answerBroken(error, socket, connections.get(socket));
  });

  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen({ host, port }, () => {
      server.off('error', reject);
      resolve();
    });
  });
  const address = server.address() as AddressInfo;
  return {
    host: address.address,
    port: address.port,
    protocol: tls === undefined ? 'http' : 'https',
    close: async (graceMs = 10_000) => {
      closing = true;
      // Clients of answers that are still to come learn that the connection ends with them.
      for (const answer of connections.values()) {
        if (answer?.headersSent === false) answer.setHeader('Connection', 'close');
      }
      const closed = new Promise<void>((resolve) => server.close(() => resolve()));
      // Connections whose request was under way become idle one by one.
      const sweep = setInterval(() => server.closeIdleConnections(), SWEEP_MS);
      server.closeIdleConnections();
      const cut = setTimeout(() => server.closeAllConnections(), graceMs);
      await closed;
      clearInterval(sweep);
      clearTimeout(cut);
    },
  };
}

const pemOf = ({ cert, key, passphrase }: TlsOptions) => ({
  cert: typeof cert === 'string' ? cert : Buffer.from(cert),
  key: typeof key === 'string' ? key : Buffer.from(key),
  ...(passphrase === undefined ? undefined : { passphrase }),
});

/**
 * What the parser could not read never reaches the app and is answered here: after the answers to whole requests before
 * it, and instead of the answer to the request that it is part of.
 */
function answerBroken(error: NodeJS.ErrnoException, socket: Socket, latest: ServerResponse | undefined): void {
  if (error.code === 'ECONNRESET' || !socket.writable) {
    socket.destroy();
    return;
  }
  if (latest !== undefined && !latest.writableFinished && !latest.destroyed) {
    if (latest.req.complete) latest.once('finish', () => answerBroken(error, socket, undefined));
    else if (latest.headersSent) socket.destroySoon();
    else sendBroken(error, socket);
    return;
  }
  sendBroken(error, socket);
}

function sendBroken(error: NodeJS.ErrnoException, socket: Socket): void {
  const { status, headers, body } = problemOf(refusalOfParser(error.code), newRequestId());
  const lines = [
    ...SECURITY_HEADERS,
    ...Object.entries({ ...headers, 'Content-Length': String(Buffer.byteLength(body)), Connection: 'close' }),
  ];
  socket.end(
    `HTTP/1.1 ${status} ${statusText(status)}\r\n${lines.map(([name, value]) => `${name}: ${value}\r\n`).join('')}\r\n${body}`,
  );
  // A client that never closes its side does not keep the connection.
  setTimeout(() => socket.destroy(), BROKEN_LINGER_MS).unref();
}

const statusText = (status: number): string =>
  status === 408 ? 'Request Timeout' : status === 431 ? 'Request Header Fields Too Large' : 'Bad Request';

function refusalOfParser(code: string | undefined): Refusal {
  switch (code) {
    case 'ERR_HTTP_REQUEST_TIMEOUT':
      return new Refusal('timeout', 'The request was not complete in time.');
    case 'HPE_HEADER_OVERFLOW':
      return new Refusal('headers_too_large', 'The request headers are too large.');
    case 'HPE_INVALID_EOF_STATE':
      return new Refusal('malformed', 'The connection ended before the request was complete.');
    default:
      return new Refusal(
        'malformed',
        `This is not HTTP/1.1 as RFC 9112 has it${code === undefined ? '' : ` (${code})`}.`,
      );
  }
}
