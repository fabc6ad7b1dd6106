/**
 * A stand-in for an OpenTelemetry collector: a real HTTP server that decodes the protobuf of an OTLP metrics export
 * (opentelemetry/proto/collector/metrics/v1/metrics_service.proto) and answers as it is told.
 */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { gunzipSync } from 'node:zlib';

export interface DecodedPoint {
  readonly attributes: Readonly<Record<string, string>>;
  readonly startMs: number;
  readonly endMs: number;
  readonly value?: number;
  readonly sum?: number;
  readonly count?: number;
  readonly bucketCounts?: readonly number[];
  readonly bounds?: readonly number[];
}

export interface DecodedMetric {
  readonly name: string;
  readonly unit: string;
  readonly kind: 'sum' | 'gauge' | 'histogram';
  /** 2 is cumulative. */
  readonly temporality: number | undefined;
  readonly monotonic: boolean;
  readonly points: readonly DecodedPoint[];
}

export interface DecodedExport {
  readonly headers: IncomingMessage['headers'];
  readonly url: string;
  readonly bytes: number;
  readonly resource: Readonly<Record<string, string>>;
  readonly metrics: readonly DecodedMetric[];
}

/** `ok`, or how to fail: a status, no answer at all, a connection cut. */
export type Behaviour = 'ok' | 'hang' | 'reset' | 'half' | { readonly status: number; readonly retryAfter?: string };

export interface Collector {
  readonly url: string;
  /** Exports answered with 200. */
  readonly taken: DecodedExport[];
  /** Requests seen, whatever became of them. */
  readonly requests: () => number;
  behaviour: Behaviour;
  readonly close: () => Promise<void>;
}

/** @param tls certificate and key, PEM: then it speaks HTTPS, and asks for a client's certificate of the same authority */
export async function startCollector(tls?: { readonly cert: Buffer; readonly key: Buffer }): Promise<Collector> {
  const taken: DecodedExport[] = [];
  let requests = 0;
  const listener = (request: IncomingMessage, response: ServerResponse): void => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      requests += 1;
      answer(request, response, Buffer.concat(chunks));
    });
  };
  const server: Server =
    tls === undefined
      ? createServer(listener)
      : createTlsServer({ ...tls, ca: tls.cert, requestCert: true, rejectUnauthorized: true }, listener);
  const collector = { behaviour: 'ok' as Behaviour };
  const answer = (request: IncomingMessage, response: ServerResponse, body: Buffer): void => {
    const { behaviour } = collector;
    if (behaviour === 'hang') return;
    if (behaviour === 'reset') return void request.socket.resetAndDestroy();
    if (behaviour === 'half') {
      response.writeHead(500, { 'Content-Length': 100 });
      response.write('half');
      return void setTimeout(() => request.socket.destroy(), 10);
    }
    if (typeof behaviour === 'object') {
      const { status, retryAfter } = behaviour;
      response.writeHead(status, retryAfter === undefined ? {} : { 'Retry-After': retryAfter });
      return void response.end();
    }
    const plain = request.headers['content-encoding'] === 'gzip' ? gunzipSync(body) : body;
    taken.push({ headers: request.headers, url: request.url ?? '', bytes: body.length, ...decodeExport(plain) });
    response.writeHead(200, { 'Content-Type': 'application/x-protobuf' });
    response.end();
  };
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  return Object.assign(collector, {
    url: tls === undefined ? `http://127.0.0.1:${port}` : `https://localhost:${port}`,
    taken,
    requests: () => requests,
    close: () =>
      new Promise<void>((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  });
}

/** A field of a protobuf message: number, and its value as bytes or as a plain number. */
type Field = readonly [field: number, value: Buffer | number];

function* fields(bytes: Buffer): Generator<Field> {
  let at = 0;
  const varint = (): number => {
    let value = 0;
    for (let scale = 1; ; scale *= 128) {
      const byte = bytes[at++]!;
      value += (byte & 127) * scale;
      if (byte < 128) return value;
    }
  };
  while (at < bytes.length) {
    const tag = varint();
    const wire = tag & 7;
    const field = tag >>> 3;
    if (wire === 0) yield [field, varint()];
    else {
      const length = wire === 2 ? varint() : wire === 1 ? 8 : 4;
      yield [field, bytes.subarray(at, at + length)];
      at += length;
    }
  }
}

const all = (bytes: Buffer, wanted: number): Buffer[] =>
  [...fields(bytes)].flatMap(([field, value]) => (field === wanted && typeof value !== 'number' ? [value] : []));
const text = (bytes: Buffer, wanted: number): string => all(bytes, wanted)[0]?.toString() ?? '';
const plain = (bytes: Buffer, wanted: number): number | undefined => {
  const found = [...fields(bytes)].find(([field]) => field === wanted)?.[1];
  return typeof found === 'number' ? found : undefined;
};
const fixed64 = (bytes: Buffer | undefined): number => Number(bytes?.readBigUInt64LE() ?? 0n);
const milliseconds = (bytes: Buffer | undefined): number => fixed64(bytes) / 1e6;
const packed = <Value>(bytes: Buffer | undefined, read: (at: number) => Value): Value[] =>
  Array.from({ length: (bytes?.length ?? 0) / 8 }, (_, index) => read(index * 8));

/** KeyValue { key = 1; AnyValue value = 2 { string_value = 1 } } */
const attributes = (entries: readonly Buffer[]): Record<string, string> =>
  Object.fromEntries(entries.map((entry) => [text(entry, 1), text(all(entry, 2)[0]!, 1)]));

function decodePoint(bytes: Buffer, histogram: boolean): DecodedPoint {
  const times = { startMs: milliseconds(all(bytes, 2)[0]), endMs: milliseconds(all(bytes, 3)[0]) };
  if (!histogram) {
    return { ...times, attributes: attributes(all(bytes, 7)), value: all(bytes, 4)[0]?.readDoubleLE() ?? Number.NaN };
  }
  const counts = all(bytes, 6)[0];
  const bounds = all(bytes, 7)[0];
  return {
    ...times,
    attributes: attributes(all(bytes, 9)),
    count: fixed64(all(bytes, 4)[0]),
    sum: all(bytes, 5)[0]?.readDoubleLE() ?? Number.NaN,
    bucketCounts: packed(counts, (at) => Number(counts!.readBigUInt64LE(at))),
    bounds: packed(bounds, (at) => bounds!.readDoubleLE(at)),
  };
}

/** Metric { name = 1; unit = 3; gauge = 5; sum = 7; histogram = 9 } */
function decodeMetric(bytes: Buffer): DecodedMetric {
  const [kind, body] = (
    [
      ['gauge', 5],
      ['sum', 7],
      ['histogram', 9],
    ] as const
  ).flatMap(([name, field]) => all(bytes, field).map((found) => [name, found] as const))[0]!;
  return {
    name: text(bytes, 1),
    unit: text(bytes, 3),
    kind,
    temporality: plain(body, 2),
    monotonic: plain(body, 3) === 1,
    points: all(body, 1).map((point) => decodePoint(point, kind === 'histogram')),
  };
}

function decodeExport(bytes: Buffer): Pick<DecodedExport, 'resource' | 'metrics'> {
  const [resourceMetrics] = all(bytes, 1);
  return {
    resource: attributes(all(all(resourceMetrics!, 1)[0]!, 1)),
    metrics: all(resourceMetrics!, 2).flatMap((scope) => all(scope, 2).map(decodeMetric)),
  };
}
