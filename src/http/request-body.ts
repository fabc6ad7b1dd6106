/** A request's body straight from Node's socket: nothing is read before it is asked for, and never more than allowed. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import { createGunzip } from 'node:zlib';
import type { RequestBody } from '../core/phases.ts';
import type { Clock } from '../core/ports.ts';
import { Refusal } from '../core/refusal.ts';
import type { SilenceWatch, Watched } from './silence.ts';

export interface RequestBodyDependencies {
  readonly clock: Clock;
  /** Milliseconds of silence after which a body that has begun is given up. */
  readonly bodyTimeoutMs: number;
  /** Watches for that. */
  readonly silence: SilenceWatch;
  /** Claims memory before it is used. @throws Refusal `overloaded` */
  readonly reserve: (bytes: number) => void;
}

const EMPTY = new Uint8Array(0);
const GUNZIP_CHUNK_BYTES = 65_536;

/** @param outgoing answers `Expect: 100-continue`, once the body is wanted */
export function requestBody(
  incoming: IncomingMessage,
  outgoing: ServerResponse,
  dependencies: RequestBodyDependencies,
): RequestBody {
  return {
    read: (maxBytes) => {
      const { headers } = incoming;
      const encoding = contentEncoding(headers['content-encoding']);
      const announced = headers['content-length'];
      const length = announced === undefined ? undefined : Number(announced);
      if (length !== undefined && length > maxBytes) throw tooLarge(maxBytes);
      if (length !== undefined) dependencies.reserve(length);
      if (headers.expect !== undefined) outgoing.writeContinue();
      const reading = readAll(incoming, maxBytes, length === undefined, dependencies);
      if (encoding === 'identity') return reading;
      return reading.then((bytes) => decompress(bytes, maxBytes, dependencies));
    },
  };
}

function contentEncoding(header: string | undefined): 'gzip' | 'identity' {
  if (header === undefined) return 'identity';
  const encoding = header.trim().toLowerCase();
  if (encoding === '' || encoding === 'identity') return 'identity';
  if (encoding === 'gzip' || encoding === 'x-gzip') return 'gzip';
  // Accept-Encoding in an answer: RFC 9110, section 12.5.3.
  throw new Refusal('unsupported_media', 'Content-Encoding must be gzip or identity.', {
    headers: { 'Accept-Encoding': 'gzip, identity' },
  });
}

function readAll(
  incoming: IncomingMessage,
  maxBytes: number,
  reserving: boolean,
  { clock, silence, bodyTimeoutMs, reserve }: RequestBodyDependencies,
): Promise<Uint8Array> {
  return new Promise((resolve, reject) => {
    let first: Uint8Array | undefined;
    let more: Uint8Array[] | undefined;
    let total = 0;
    let done = false;
    const watched: Watched = {
      lastAt: clock.monotonic(),
      onSilence: () => {
        const detail = `The body stopped after ${total} bytes: nothing came for ${bodyTimeoutMs / 1000} seconds.`;
        fail(new Refusal('timeout', detail));
      },
    };
    const finish = (): void => {
      done = true;
      silence.remove(watched);
    };
    const fail = (refusal: Refusal): void => {
      finish();
      incoming.pause();
      reject(refusal);
    };
    silence.add(watched);
    incoming.on('data', (chunk: Uint8Array) => {
      if (done) return;
      total += chunk.length;
      if (total > maxBytes) {
        fail(tooLarge(maxBytes));
        return;
      }
      if (reserving) {
        try {
          reserve(chunk.length);
        } catch (error) {
          fail(error as Refusal);
          return;
        }
      }
      if (first === undefined) first = chunk;
      else {
        watched.lastAt = clock.monotonic();
        (more ??= [first]).push(chunk);
      }
    });
    incoming.on('end', () => {
      if (done) return;
      finish();
      resolve(more === undefined ? (first ?? EMPTY) : Buffer.concat(more, total));
    });
    // Comes after every end, and alone where the connection broke: no listener for errors, so none is thrown.
    incoming.on('close', () => {
      if (!done) fail(new Refusal('malformed', `The body is incomplete: the connection ended after ${total} bytes.`));
    });
  });
}

function decompress(
  compressed: Uint8Array,
  maxBytes: number,
  { reserve }: RequestBodyDependencies,
): Promise<Uint8Array> {
  return new Promise((resolve, reject) => {
    const gunzip = createGunzip({ chunkSize: GUNZIP_CHUNK_BYTES });
    const chunks: Uint8Array[] = [];
    let total = 0;
    const fail = (refusal: Refusal): void => {
      gunzip.destroy();
      reject(refusal);
    };
    gunzip.on('data', (chunk: Uint8Array) => {
      total += chunk.length;
      if (total > maxBytes) {
        fail(tooLarge(maxBytes, ' after decompression'));
        return;
      }
      try {
        reserve(chunk.length);
      } catch (error) {
        fail(error as Refusal);
        return;
      }
      chunks.push(chunk);
    });
    gunzip.on('end', () => {
      resolve(Buffer.concat(chunks, total));
    });
    gunzip.on('error', (cause) => {
      fail(new Refusal('malformed', 'The body is not valid gzip, though Content-Encoding says so.', { cause }));
    });
    gunzip.end(compressed);
  });
}

const tooLarge = (maxBytes: number, when = ''): Refusal =>
  new Refusal('too_large', `The body is larger than ${maxBytes} bytes${when}; send fewer metrics per request.`, {
    extensions: { max_bytes: maxBytes },
  });
