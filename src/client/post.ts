/** One try at sending a batch: the request, and what the gateway's answer means for the batch. */
import { between } from './encode.ts';
import { retryAfterMs } from './retry.ts';

/** A request that keeps its key and its bytes over all tries, so that the gateway counts it once. */
export interface Batch {
  readonly metrics: readonly string[];
  readonly key: string;
  readonly body: Uint8Array<ArrayBuffer>;
  readonly gzip: boolean;
  /** Monotonic time of the making. */
  readonly sealedAt: number;
}

/** What the gateway said to a batch. */
export interface Answer {
  /** HTTP status; 0 where none came. */
  readonly status: number;
  /** Metrics that were turned away one by one. */
  readonly rejected: number;
  /** In the gateway's own words, for a warning. */
  readonly detail: string;
  /** How long the gateway asks to be left alone, in milliseconds. */
  readonly waitMs: number | undefined;
}

export async function sealBatch(head: string, metrics: readonly string[], now: number): Promise<Batch> {
  /** Smaller bodies gain nothing. */
  const GZIP_FROM_BYTES = 1024;
  const plain = new TextEncoder().encode(`${head}${metrics.join(',')}]}`);
  const batch = {
    metrics,
    key: globalThis.crypto?.randomUUID?.() ?? `${Math.random()}`,
    sealedAt: now,
  };
  if (plain.length >= GZIP_FROM_BYTES) {
    try {
      const compressed = new Blob([plain]).stream().pipeThrough(new CompressionStream('gzip'));
      return { ...batch, body: new Uint8Array(await new Response(compressed).arrayBuffer()), gzip: true };
    } catch {
      // A host without these streams or this format: the plain bytes do.
    }
  }
  return { ...batch, body: plain, gzip: false };
}

/** Sends a batch once. Never rejects. */
export async function postBatch(
  send: typeof fetch,
  url: string,
  headers: Headers | undefined,
  batch: Batch,
  signal: AbortSignal,
): Promise<Answer> {
  const LONGEST_DETAIL = 200;
  let response: Response | undefined;
  let told: Partial<Record<'rejected' | 'detail' | 'errors', unknown>> = {};
  try {
    const all = new Headers(headers);
    all.set('idempotency-key', batch.key);
    if (batch.gzip) all.set('content-encoding', 'gzip');
    response = await send(url, {
      method: 'POST',
      headers: all,
      body: batch.body,
      // A redirect would take the key to another host.
      redirect: 'manual',
      signal,
    });
    told = ((await response.json()) as typeof told | null) ?? {};
  } catch {
    // No answer, or one without a readable body: its status says enough.
  }
  const { rejected, detail, errors } = told;
  return {
    status: response?.status ?? 0,
    // Whatever stands there, the client's books stay whole.
    rejected: between((rejected as number) | 0, 0, 0, batch.metrics.length),
    detail: JSON.stringify([detail, errors]).slice(0, LONGEST_DETAIL),
    waitMs: retryAfterMs(response?.headers.get('retry-after'), Date.now()),
  };
}
