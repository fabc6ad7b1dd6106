/** A gateway as the HTTP contract describes it, small enough to be told how to answer: for the client's own tests. */
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { gunzipSync } from 'node:zlib';

export interface SentMetric {
  readonly type: string;
  readonly timestamp: string;
  readonly value: number;
  readonly duration_ms?: number;
  readonly dimensions: Readonly<Record<string, string | number | boolean>>;
  readonly metadata: Readonly<Record<string, unknown>>;
}

export interface SeenRequest {
  readonly method: string;
  readonly path: string;
  readonly headers: IncomingMessage['headers'];
  /** The bytes on the wire. */
  readonly raw: Buffer;
  readonly body: {
    readonly service: string;
    readonly version?: string;
    readonly instance_id?: string;
    readonly metrics: readonly SentMetric[];
  };
  /** Monotonic milliseconds. */
  readonly at: number;
}

/** How to answer a request; `answer` undefined accepts it. */
export interface Answer {
  readonly status: number;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: unknown;
  /** Take the metrics in all the same, as where the answer gets lost on its way. */
  readonly takeIn?: boolean;
  /** Cut the connection instead of answering. */
  readonly cut?: boolean;
  /** Answer after so many milliseconds. */
  readonly afterMs?: number;
}

export interface StandInGateway {
  readonly url: string;
  /** Every request, in order. */
  readonly requests: readonly SeenRequest[];
  /** What counts: metrics of requests answered 200, each key once. */
  readonly accepted: readonly SentMetric[];
  /** Decides how a request is answered. */
  answer: (request: SeenRequest, index: number) => Answer | undefined;
  readonly close: () => Promise<void>;
  /** Listens again on the same port after `close`. */
  readonly reopen: () => Promise<void>;
}

export async function startStandIn(): Promise<StandInGateway> {
  const requests: SeenRequest[] = [];
  const accepted: SentMetric[] = [];
  const remembered = new Map<string, string>();
  const sockets = new Set<Socket>();

  const handle = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk as Buffer);
    const raw = Buffer.concat(chunks);
    const text = request.headers['content-encoding'] === 'gzip' ? gunzipSync(raw) : raw;
    const { method = '', url = '', headers } = request;
    const body = (text.length === 0 ? { metrics: [] } : JSON.parse(text.toString())) as SeenRequest['body'];
    const seen: SeenRequest = { method, path: url, headers, raw, body, at: performance.now() };
    requests.push(seen);

    const told = gateway.answer(seen, requests.length - 1);
    const key = String(headers['idempotency-key']);
    const digest = createHash('sha256').update(text).digest('hex');
    const before = remembered.get(key);
    if (told === undefined || told.status === 200 || told.takeIn === true) {
      if (before === undefined) {
        remembered.set(key, digest);
        accepted.push(...body.metrics);
      }
    }
    const { afterMs } = told ?? {};
    if (afterMs !== undefined) {
      // A client that gives up ends the wait.
      await Promise.race([once(response, 'close'), sleep(afterMs, undefined, { ref: false })]);
    }
    if (told?.cut === true) {
      request.socket.destroy();
      return;
    }
    const mismatch = before !== undefined && before !== digest;
    const status = mismatch ? 422 : (told?.status ?? 200);
    const answer = told?.body ?? { status: 'success', accepted: body.metrics.length, rejected: 0, errors: [] };
    response.writeHead(status, { 'content-type': 'application/json', ...told?.headers });
    response.end(JSON.stringify(answer));
  };
  const server = createServer((request, response) => {
    handle(request, response).catch((error: unknown) => response.destroy(error as Error));
  });
  server.on('connection', (socket) => {
    sockets.add(socket);
    socket.once('close', () => sockets.delete(socket));
  });
  const listen = (port: number): Promise<void> =>
    new Promise((resolve) => server.listen(port, '127.0.0.1', () => resolve()));
  await listen(0);
  const { port } = server.address() as AddressInfo;
  const gateway: StandInGateway = {
    url: `http://127.0.0.1:${port}`,
    requests,
    accepted,
    answer: () => undefined,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        for (const socket of sockets) socket.destroy();
      }),
    reopen: () => listen(port),
  };
  return gateway;
}
