/**
 * Sends requests at even distances, whatever the server does, over a fixed number of connections with one request under
 * way on each; one that is late counts from when it was due. It writes and reads sockets itself: a client that costs as much
 * as the server would measure itself on two cores. Until its code is compiled and its connections stand, latencies are
 * left out. A process of its own. One order by message, one result by message, then it ends; another message in between ends the
 * sending before its time.
 */
import { connect, type Socket } from 'node:net';
import { quantile } from './scenario.ts';

export interface PacedOrder {
  readonly url: string;
  readonly keys: readonly string[];
  readonly bodies: readonly string[];
  readonly connections: number;
  readonly seconds: number;
  readonly perSecond: number;
  /** Of `seconds`, at the begin: sent and counted like the rest, their latencies not. */
  readonly warmUpSeconds: number;
}

export interface PacedResult {
  readonly ok: number;
  readonly refused: number;
  readonly failed: number;
  readonly seconds: number;
  /** Milliseconds from when a request was due to the end of its answer. */
  readonly p50: number;
  readonly p99: number;
  readonly p999: number;
}

/** Sends a request and calls back with the status of its answer, 0 where the connection broke. */
interface Connection {
  readonly send: (request: Buffer, done: (status: number) => void) => void;
  readonly close: () => void;
}

function open(host: string, port: number): Connection {
  let socket: Socket | undefined;
  let received = '';
  let waiting: ((status: number) => void) | undefined;

  const settle = (status: number): void => {
    const done = waiting;
    waiting = undefined;
    received = '';
    done?.(status);
  };
  const connected = (): Socket => {
    const made = connect({ host, port, noDelay: true });
    made.on('data', (chunk: Buffer) => {
      received += chunk.toString('latin1');
      const head = received.indexOf('\r\n\r\n');
      if (head < 0) return;
      const length = Number(/\r\ncontent-length: (\d+)/i.exec(received)?.[1]);
      // Answers to POST /metrics have one; without it nothing says where the answer ends.
      if (Number.isNaN(length)) return void made.destroy();
      if (received.length >= head + 4 + length) settle(Number(received.slice(9, 12)));
    });
    const gone = (): void => {
      if (socket === made) socket = undefined;
      settle(0);
    };
    made.on('error', () => {});
    made.on('close', gone);
    return made;
  };
  return {
    send: (request, done) => {
      waiting = done;
      socket ??= connected();
      socket.write(request);
    },
    close: () => socket?.destroy(),
  };
}

/** @throws RangeError where there is no rate to keep */
async function run({
  url,
  keys,
  bodies,
  connections,
  seconds,
  perSecond,
  warmUpSeconds,
}: PacedOrder): Promise<PacedResult> {
  if (!(perSecond > 0)) throw new RangeError(`${perSecond} requests a second: expected a rate above 0`);
  const { hostname, port, pathname } = new URL(url);
  const requests = bodies.map((body, at) =>
    Buffer.from(
      `POST ${pathname} HTTP/1.1\r\nHost: ${hostname}:${port}\r\nContent-Type: application/json\r\n` +
        `Content-Length: ${Buffer.byteLength(body)}\r\nX-API-Key: ${keys[at % keys.length]}\r\n\r\n${body}`,
    ),
  );
  const all = Array.from({ length: connections }, () => open(hostname, Number(port)));
  const idle = [...all];
  /** When each was due that no connection was free for. */
  const late: number[] = [];
  const latencies: number[] = [];
  const counts = { ok: 0, refused: 0, failed: 0 };
  let total = Math.max(1, Math.round(seconds * perSecond));
  const finished = Promise.withResolvers<void>();
  const start = performance.now();
  let sent = 0;
  let answered = 0;
  let due = 0;
  process.once('message', () => (total = Math.max(1, due)));

  const dueAt = (number: number): number => start + (number * 1000) / perSecond;
  const send = (connection: Connection, wanted: number): void => {
    const request = requests[sent % requests.length]!;
    sent += 1;
    connection.send(request, (status) => {
      if (wanted >= start + warmUpSeconds * 1000) latencies.push(performance.now() - wanted);
      counts[status === 200 ? 'ok' : status === 503 ? 'refused' : 'failed'] += 1;
      answered += 1;
      if (answered === total) finished.resolve();
      const next = late.shift();
      if (next === undefined) idle.push(connection);
      else send(connection, next);
    });
  };
  while (due < total) {
    const now = performance.now();
    for (; due < total && dueAt(due) <= now; due += 1) {
      const connection = idle.shift();
      if (connection === undefined) late.push(dueAt(due));
      else send(connection, dueAt(due));
    }
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
  if (answered === total) finished.resolve();
  await finished.promise;
  const took = performance.now() - start;
  for (const connection of all) connection.close();
  return {
    ...counts,
    seconds: took / 1000,
    p50: quantile(latencies, 0.5),
    p99: quantile(latencies, 0.99),
    p999: quantile(latencies, 0.999),
  };
}

process.once('message', (order) => {
  run(order as PacedOrder).then(
    (result) => process.send?.(result, () => process.disconnect()),
    (error: unknown) => {
      console.error(error);
      process.exit(1);
    },
  );
});
