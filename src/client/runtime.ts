/** What differs between Node, Bun, Deno and edge workers, looked up when needed: importing the client touches nothing. */

export type Bytes = Uint8Array<ArrayBuffer>;

/** The part of `node:zlib` that is used. */
export interface Zlib {
  readonly gzip: (
    bytes: Bytes,
    options: { readonly level: number },
    done: (error: Error | null, compressed?: Bytes) => void,
  ) => void;
}

/** The parts of `process` that may be there. No listener for signals is ever added. */
interface ProcessLike {
  readonly env?: Readonly<Record<string, string | undefined>>;
  readonly once?: (event: 'beforeExit', listener: () => void) => unknown;
  /** Node from 20.16 on, Bun and Deno: no bundler follows it, and nothing is loaded before the first batch. */
  readonly getBuiltinModule?: (name: 'node:zlib') => Zlib | undefined;
}

interface HostGlobals {
  readonly process?: ProcessLike;
  /** Test environments that imitate a browser leave it out. */
  readonly crypto?: { readonly randomUUID?: () => string };
  readonly Deno?: { readonly unrefTimer?: (id: unknown) => void };
}

/** The host's global object, whatever of it is there. */
export const host = globalThis as unknown as HostGlobals;

/** What a function gives; undefined where it throws. */
export function attempt<Value>(find: () => Value): Value | undefined {
  try {
    return find();
  } catch {
    return undefined;
  }
}

/** Reads an environment variable; empty counts as absent, and so does a host that refuses to tell (Deno without permission). */
export const environmentVariable = (name: string): string | undefined =>
  attempt(() => host.process?.env?.[name] || undefined);

/** Milliseconds on a clock that never goes backwards. Only differences mean anything. */
export const monotonicNow = (): number => performance.now();

/** A timer that does not keep the process from ending. */
export function backgroundTimer(run: () => void, delayMs: number): ReturnType<typeof setTimeout> {
  const timer: ReturnType<typeof setTimeout> & { readonly unref?: () => unknown } = setTimeout(run, delayMs);
  // A number in Deno and in workers.
  if (timer.unref) timer.unref();
  else host.Deno?.unrefTimer?.(timer);
  return timer;
}
