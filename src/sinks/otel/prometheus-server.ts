/** The HTTP listener that scrapers read: `GET /metrics`, a page that points to it, and nothing else. */
import { createHash, timingSafeEqual } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { type Duplex, Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { constants, createGzip } from 'node:zlib';
import { addressBlock } from '../../core/remote-address.ts';
import { SECURITY_HEADERS, STRICT_TRANSPORT } from '../../core/security-headers.ts';
import { createTokenBuckets } from '../../core/token-buckets.ts';
import { chooseFormat, CONTENT_TYPES, type ExpositionFormat } from './exposition.ts';
import type { PrometheusSettings } from './reader-settings.ts';

export interface PrometheusServerOptions {
  readonly settings: PrometheusSettings;
  /** Why a scrape cannot be answered yet; undefined once it can. */
  readonly notReady: () => string | undefined;
  /** Everything of this instant, in pieces. */
  readonly collect: (format: ExpositionFormat) => Promise<readonly Uint8Array[]>;
  /** A scrape was answered. */
  readonly onScrape: (durationMs: number, status: number) => void;
}

export interface PrometheusServer {
  /** The port that is listened on. @throws the fault that keeps it from listening */
  readonly listen: () => Promise<AddressInfo>;
  readonly close: () => Promise<void>;
}

const PAGE = `<!doctype html><title>MCP metrics gateway</title>
<p>Metrics for Prometheus: <a href="/metrics">/metrics</a>
`;
/** More scrapers at once than anyone has; the rest waits in the kernel's queue or is closed. */
const MAX_CONNECTIONS = 256;
/** A scrape's request is small, and comes whole at once. */
const LIMITS = {
  headersTimeout: 10_000,
  requestTimeout: 10_000,
  maxHeaderSize: 16 * 1024,
  connectionsCheckingInterval: 1000,
} as const;
/** Wrong tokens a minute that one remote address (IPv6: one /64) is answered with 401; further ones get 429. */
const FAILURES_PER_MINUTE = 60;
const MAX_ADDRESSES = 10_000;
/** A scraper that takes nothing for so long is gone. */
const IDLE_MS = 60_000;

class ScrapeTimeout extends Error {
  override readonly name = 'ScrapeTimeout';
}

export function createPrometheusServer(options: PrometheusServerOptions): PrometheusServer {
  const { settings } = options;
  const authorized = bearerCheck(settings.bearerToken);
  const failures = createTokenBuckets(MAX_ADDRESSES);
  const headersOfAll = [...SECURITY_HEADERS, ...(settings.tls === undefined ? [] : [STRICT_TRANSPORT])];

  /** A right token is never refused for wrong ones from the same address. */
  const refuse = (request: IncomingMessage, response: ServerResponse): void => {
    const { remoteAddress = '' } = request.socket;
    const bucket = failures.take(addressBlock(remoteAddress), FAILURES_PER_MINUTE, performance.now());
    if (bucket.granted) answer(response, 401, 'A bearer token is needed\n', { 'WWW-Authenticate': 'Bearer' });
    else
      answer(response, 429, 'Too many wrong tokens from this address\n', {
        'Retry-After': String(Math.max(1, Math.ceil(bucket.nextTokenMs / 1000))),
      });
  };

  const scrape = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const reason = options.notReady();
    if (reason !== undefined) return answer(response, 503, `${reason}\n`, { 'Retry-After': '1' });
    const format = chooseFormat(request.headers.accept);
    let pieces: readonly Uint8Array[];
    try {
      pieces = await within(options.collect(format), settings.timeoutMs);
    } catch (error) {
      return answer(response, 503, `The scrape failed: ${(error as Error).message}\n`, { 'Retry-After': '1' });
    }
    if (response.destroyed) return;
    const zipped = acceptsGzip(request.headers['accept-encoding']);
    response.writeHead(200, {
      'Content-Type': CONTENT_TYPES[format],
      Vary: 'Accept, Accept-Encoding',
      ...(zipped
        ? { 'Content-Encoding': 'gzip' }
        : { 'Content-Length': pieces.reduce((sum, { byteLength }) => sum + byteLength, 0) }),
    });
    if (request.method === 'HEAD') response.end();
    // zlib works in threads of its own; the fastest level still makes a tenth of this text.
    else if (zipped) await pipeline(Readable.from(pieces), createGzip({ level: constants.Z_BEST_SPEED }), response);
    else await pipeline(Readable.from(pieces), response);
  };

  const handle = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    for (const [name, value] of headersOfAll) response.setHeader(name, value);
    const path = (request.url ?? '/').split('?', 1)[0];
    if (path !== '/metrics' && path !== '/') return answer(response, 404, 'Not found; metrics are at /metrics\n');
    if (request.method !== 'GET' && request.method !== 'HEAD') {
      return answer(response, 405, 'Only GET and HEAD\n', { Allow: 'GET, HEAD' });
    }
    if (!authorized(request.headers.authorization)) return refuse(request, response);
    if (path === '/') return answer(response, 200, PAGE, { 'Content-Type': 'text/html; charset=utf-8' });
    const start = performance.now();
    try {
      await scrape(request, response);
    } finally {
      options.onScrape(performance.now() - start, response.statusCode);
    }
  };

  let server: Server | undefined;
  return {
    listen: () => {
      const listener = (request: IncomingMessage, response: ServerResponse): void => {
        // A scraper that hangs up early ends its own answer, nothing else.
        handle(request, response).catch(() => response.destroy());
      };
      const { tls } = settings;
      const opened =
        tls === undefined
          ? createServer(LIMITS, listener)
          : createTlsServer({ ...LIMITS, cert: readFileSync(tls.certFile), key: readFileSync(tls.keyFile) }, listener);
      server = opened;
      opened.maxConnections = MAX_CONNECTIONS;
      opened.maxHeadersCount = 100;
      opened.on('clientError', answerBroken);
      opened.setTimeout(IDLE_MS);
      return new Promise((resolve, reject) => {
        opened.once('error', reject);
        opened.listen(settings.port, settings.host, () => {
          opened.off('error', reject);
          resolve(opened.address() as AddressInfo);
        });
      });
    },
    close: () =>
      new Promise((resolve) => {
        if (server === undefined) return resolve();
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

function answer(response: ServerResponse, status: number, text: string, headers: Record<string, string> = {}): void {
  response.writeHead(status, { 'Content-Type': 'text/plain; charset=utf-8', ...headers });
  response.end(text);
}

/** What the parser could not read, or waited for too long. */
function answerBroken(error: NodeJS.ErrnoException, socket: Duplex): void {
  if (error.code === 'ECONNRESET' || !socket.writable) {
    socket.destroy();
    return;
  }
  const status = STATUS_OF_BROKEN[error.code ?? ''] ?? '400 Bad Request';
  const lines = [...SECURITY_HEADERS, ['Content-Length', '0'], ['Connection', 'close']];
  socket.end(`HTTP/1.1 ${status}\r\n${lines.map(([name, value]) => `${name}: ${value}\r\n`).join('')}\r\n`);
}

const STATUS_OF_BROKEN: Readonly<Record<string, string>> = {
  ERR_HTTP_REQUEST_TIMEOUT: '408 Request Timeout',
  HPE_HEADER_OVERFLOW: '431 Request Header Fields Too Large',
};

/** Compares digests: equally long whatever was sent, and in constant time. */
function bearerCheck(token: string | undefined): (header: string | undefined) => boolean {
  if (token === undefined) return () => true;
  const digest = (text: string): Buffer => createHash('sha256').update(text).digest();
  const expected = digest(token);
  return (header) => {
    const sent = /^Bearer +(.+)$/i.exec(header ?? '')?.[1];
    return sent !== undefined && timingSafeEqual(digest(sent), expected);
  };
}

/** RFC 9110, section 12.5.3: named with a weight above 0, or covered by `*`. */
function acceptsGzip(header: string | undefined): boolean {
  const weights = new Map(
    (header ?? '').split(',').map((item) => {
      const [name = '', weight] = item.split(';').map((part) => part.trim().toLowerCase());
      return [name, weight?.startsWith('q=') === true ? Number(weight.slice(2)) : 1] as const;
    }),
  );
  return (weights.get('gzip') ?? weights.get('*') ?? 0) > 0;
}

async function within<T>(work: Promise<T>, timeoutMs: number): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const expired = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new ScrapeTimeout(`not ready within ${timeoutMs} ms`)), timeoutMs);
  });
  try {
    return await Promise.race([work, expired]);
  } finally {
    clearTimeout(timer);
  }
}
