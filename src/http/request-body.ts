/** A request's body straight from Node's socket: nothing is read before it is asked for, and never more than allowed. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import { createGunzip } from 'node:zlib';
import type { RequestBody } from '../core/phases.ts';
import type { Clock } from '../core/ports.ts';
import { Refusal } from '../core/refusal.ts';

export interface RequestBodyDependencies {
  readonly clock: Clock;
  /** Milliseconds of silence after which a body that has begun is given up. */
  readonly bodyTimeoutMs: number;
  /** Claims memory before it is used. @throws Refusal `overloaded` */
  readonly reserve: (bytes: number) => void;
}

const GUNZIP_CHUNK_BYTES = 65_536;

/** @param outgoing answers `Expect: 100-continue`, once the body is wanted */
export function requestBody(
  incoming: IncomingMessage,
  outgoing: ServerResponse,
  dependencies: RequestBodyDependencies,
): RequestBody {
  return {
    read: async (maxBytes) => {
      const encoding = contentEncoding(incoming);
      const announced = incoming.headers['content-length'];
      const length = announced === undefined ? undefined : Number(announced);
      if (length !== undefined && length > maxBytes) throw tooLarge(maxBytes);
      if (length !== undefined) dependencies.reserve(length);
      if (incoming.headers.expect !== undefined) outgoing.writeContinue();
      const bytes = await readAll(incoming, maxBytes, length === undefined, dependencies);
      return encoding === 'gzip' ? decompress(bytes, maxBytes, dependencies) : bytes;
    },
  };
}

function contentEncoding(incoming: IncomingMessage): 'gzip' | 'identity' {
  const header = incoming.headers['content-encoding'];
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
  { clock, bodyTimeoutMs, reserve }: RequestBodyDependencies,
): Promise<Uint8Array> {
  return new Promise((resolve, reject) => {
    const chunks: Uint8Array[] = [];
    let total = 0;
    let lastAt = clock.monotonic();
    let timer = clock.after(bodyTimeoutMs, onTimer);

    // Chunks only note their time; the timer looks at it when it fires. Cheaper than a new timer per chunk.
    function onTimer(): void {
      const silent = clock.monotonic() - lastAt;
      if (silent < bodyTimeoutMs) {
        timer = clock.after(bodyTimeoutMs - silent, onTimer);
        return;
      }
      fail(
        new Refusal(
          'timeout',
          `The body stopped after ${total} bytes: nothing came for ${bodyTimeoutMs / 1000} seconds.`,
        ),
      );
    }
    function stop(): void {
      timer.cancel();
      incoming.off('data', onData).off('end', onEnd).off('error', onBroken).off('close', onBroken);
    }
    function fail(refusal: Refusal): void {
      stop();
      incoming.pause();
      reject(refusal);
    }
    function onData(chunk: Uint8Array): void {
      total += chunk.length;
      lastAt = clock.monotonic();
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
      chunks.push(chunk);
    }
    function onEnd(): void {
      stop();
      resolve(chunks.length === 1 ? chunks[0]! : Buffer.concat(chunks, total));
    }
    function onBroken(): void {
      fail(new Refusal('malformed', `The body is incomplete: the connection ended after ${total} bytes.`));
    }
    incoming.on('data', onData).on('end', onEnd).on('error', onBroken).on('close', onBroken);
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
