/** A TCP connection on which a test says exactly what it wants, and reads whole HTTP answers. */
import { connect, type Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';
import { setTimeout as sleep } from 'node:timers/promises';

export interface RawAnswer {
  readonly status: number;
  /** By lower-case name. */
  readonly headers: ReadonlyMap<string, string>;
  readonly body: string;
  /** The body as JSON, empty where it is none. */
  readonly json: Readonly<Record<string, unknown>>;
}

export interface RawConnection {
  readonly write: (bytes: string | Uint8Array) => void;
  /** Ends this side: no more bytes come, answers still do. */
  readonly end: () => void;
  readonly destroy: () => void;
  /** The next whole answer, also an interim one. */
  readonly answer: () => Promise<RawAnswer>;
  /** Resolves once the other side has closed. */
  readonly closed: () => Promise<void>;
  readonly isOpen: () => boolean;
  /** Bytes that no answer was made of yet. */
  readonly pending: () => string;
}

const DEADLINE_MS = 15_000;

export async function rawConnection(port: number, options: { tls?: boolean } = {}): Promise<RawConnection> {
  const socket: Socket =
    options.tls === true
      ? connectTls({ port, host: '127.0.0.1', rejectUnauthorized: false })
      : connect({ port, host: '127.0.0.1', allowHalfOpen: true });
  let received = Buffer.alloc(0);
  let open = true;
  socket.on('data', (chunk: Buffer) => {
    received = Buffer.concat([received, chunk]);
  });
  socket.on('end', () => {
    open = false;
  });
  socket.on('close', () => {
    open = false;
  });
  socket.on('error', () => {
    open = false;
  });
  await new Promise((resolve) => socket.once(options.tls === true ? 'secureConnect' : 'connect', resolve));

  const until = async <T>(what: string, look: () => T | undefined): Promise<T> => {
    for (const started = Date.now(); Date.now() - started < DEADLINE_MS; await sleep(2)) {
      const found = look();
      if (found !== undefined) return found;
    }
    throw new Error(
      `no ${what} within ${DEADLINE_MS} ms; received: ${JSON.stringify(received.toString().slice(0, 500))}`,
    );
  };

  const takeAnswer = (): RawAnswer | undefined => {
    const end = received.indexOf('\r\n\r\n');
    if (end < 0) {
      if (!open) throw new Error(`closed without an answer; received: ${JSON.stringify(received.toString())}`);
      return undefined;
    }
    const [first = '', ...lines] = received.subarray(0, end).toString('latin1').split('\r\n');
    const headers = new Map(
      lines.map((line) => [line.slice(0, line.indexOf(':')).toLowerCase(), line.slice(line.indexOf(':') + 1).trim()]),
    );
    const status = Number(first.split(' ')[1]);
    const length = Number(headers.get('content-length') ?? 0);
    if (received.length < end + 4 + length) return undefined;
    const body = received.subarray(end + 4, end + 4 + length).toString();
    received = received.subarray(end + 4 + length);
    return { status, headers, body, json: body.startsWith('{') ? (JSON.parse(body) as Record<string, unknown>) : {} };
  };

  return {
    write: (bytes) => {
      if (socket.writable) socket.write(bytes);
    },
    end: () => socket.end(),
    destroy: () => socket.destroy(),
    answer: () => until('answer', takeAnswer),
    closed: async () => {
      await until('close', () => (open ? undefined : true));
      socket.destroy();
    },
    isOpen: () => open,
    pending: () => received.toString(),
  };
}

/** A request head and body; `Content-Length` is that of the body unless `headers` say otherwise. */
export function rawRequest(
  body: string | Uint8Array,
  headers: Readonly<Record<string, string | undefined>> = {},
): Buffer {
  const bytes = Buffer.from(body);
  const all: Record<string, string | undefined> = {
    Host: 'gateway',
    'Content-Type': 'application/json',
    'Content-Length': String(bytes.length),
    ...headers,
  };
  const lines = Object.entries(all).flatMap(([name, value]) => (value === undefined ? [] : [`${name}: ${value}\r\n`]));
  return Buffer.concat([Buffer.from(`POST /metrics HTTP/1.1\r\n${lines.join('')}\r\n`, 'latin1'), bytes]);
}
