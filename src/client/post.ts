/** One try at sending a batch: the request, and what the gateway's answer means for the batch. */
import type { Records } from './buffer.ts';
import { between } from './encode.ts';
import type { ResolvedOptions } from './options.ts';
import { retryAfterMs } from './retry.ts';
import { host, monotonicNow } from './runtime.ts';
import type { Bytes, Zlib } from './runtime.ts';

/** A request that keeps its key and its bytes over all tries, so that the gateway counts it once. */
export interface Batch extends Records {
  readonly key: string;
  /** Monotonic time of the making. */
  readonly sealedAt: number;
  /** From the first try on: JSON, compressed where that pays. */
  body?: Bytes;
}

/**
 * What the gateway said to a batch: the HTTP status, 0 where none came; how many metrics it turned away one by one; its own
 * words, for a warning, or that there was no JSON; and how many milliseconds it asks to be left alone, 0 where it does not.
 */
export type Answer = readonly [status: number, rejected: number, detail: string, waitMs: number];

/** For a detail. A page where the gateway should be may say 200 as well. */
export const NO_JSON = 'no JSON';

/** Level 1 takes half the time of the default and loses 5 % of size. @returns undefined where it fails */
const compress = ({ gzip }: Zlib, plain: Bytes): Promise<Bytes | undefined> =>
  new Promise((resolve) => gzip(plain, { level: 1 }, (_, compressed) => resolve(compressed)));

export const sealBatch = ({ bytes, lengths }: Records): Batch => ({
  bytes,
  lengths,
  key: host.crypto?.randomUUID?.() ?? `${Math.random()}`,
  sealedAt: monotonicNow(),
});

/** @param head what a body begins with, before its metrics */
export async function packBody(head: Uint8Array, bytes: Uint8Array): Promise<Bytes> {
  /** Smaller bodies gain nothing. */
  const GZIP_FROM_BYTES = 1024;
  const plain = new Uint8Array(head.length + bytes.length + 1);
  plain.set(head);
  plain.set(bytes, head.length);
  // `]}`, the first of them over the last metric's comma.
  plain.set([93, 125], plain.length - 2);
  // Not the streams of the web, which every host has: they keep the thread ten times as long.
  const zlib = plain.length >= GZIP_FROM_BYTES && host.process?.getBuiltinModule?.('node:zlib');
  // A host's imitation may lack `gzip`.
  const compressed = zlib && (await compress(zlib, plain).catch(() => {}));
  return compressed || plain;
}

/**
 * Sends a batch once. Ends with the signal, whatever a `fetch` of the service's own makes of it.
 * @returns undefined at the signal
 * @throws where no whole answer came
 */
export async function postBatch(
  { fetch, url, headers }: ResolvedOptions,
  { key, lengths }: Batch,
  body: Bytes,
  signal: AbortSignal,
): Promise<Answer | undefined> {
  const LONGEST_DETAIL = 200;
  const GZIP_BEGINS = 0x1f;
  const ask = async (): Promise<Answer> => {
    const all = new Headers(headers);
    all.set('idempotency-key', key);
    // No JSON begins like gzip.
    if (body[0] === GZIP_BEGINS) all.set('content-encoding', 'gzip');
    // A redirect would take the key to another host.
    const response = await fetch(url, { method: 'POST', headers: all, body, redirect: 'manual', signal });
    const told = (await response.json().catch(() => ({ detail: NO_JSON }))) as Record<string, unknown> | null;
    const { rejected, detail, errors } = told ?? {};
    return [
      response.status,
      // Whatever stands there, the client's books stay whole.
      between((rejected as number) | 0, 0, 0, lengths.length),
      detail === NO_JSON ? NO_JSON : JSON.stringify([detail, errors]).slice(0, LONGEST_DETAIL),
      retryAfterMs(response.headers.get('retry-after'), Date.now()),
    ];
  };
  return Promise.race([
    ask(),
    new Promise<undefined>((resolve) => signal.addEventListener('abort', () => resolve(undefined))),
  ]);
}
