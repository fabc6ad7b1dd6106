/** Answers of work that takes long: lines of JSON, `progress` now and then, until `result` or `error`. */
import type { Context } from 'hono';
import { stream } from 'hono/streaming';
import type { AppEnv } from './app-env.ts';

export const NDJSON = 'application/x-ndjson';

/** Less than this apart, of two lines of progress the second is left out. */
const PROGRESS_INTERVAL_MS = 100;

export interface Progress {
  readonly done: number;
  readonly total: number;
  /** What is being worked on. */
  readonly what?: string;
}

/** Work that ends when the reader goes away, told as it goes. */
export function progressLines(
  c: Context<AppEnv>,
  work: (progress: (at: Progress) => void, signal: AbortSignal) => Promise<unknown>,
): Response {
  c.header('Content-Type', NDJSON);
  return stream(c, async (out) => {
    const gone = new AbortController();
    out.onAbort(() => gone.abort());
    let sending: Promise<unknown> = Promise.resolve();
    const say = (line: object): void => {
      sending = sending.then(() => out.write(`${JSON.stringify(line)}\n`)).catch(() => gone.abort());
    };
    let told = Number.NEGATIVE_INFINITY;
    const progress = (at: Progress): void => {
      if (performance.now() - told < PROGRESS_INTERVAL_MS) return;
      told = performance.now();
      say({ progress: at });
    };
    try {
      say({ result: await work(progress, gone.signal) });
    } catch (error) {
      say({ error: error instanceof Error ? error.message : String(error) });
    }
    await sending;
  });
}
