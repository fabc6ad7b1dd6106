/** What differs between Node, Bun, Deno and edge workers, looked up when needed: importing the client touches nothing. */

/** The parts of `process` that may be there. No listener for signals is ever added. */
interface ProcessLike {
  readonly env?: Readonly<Record<string, string | undefined>>;
  readonly once?: (event: 'beforeExit', listener: () => void) => unknown;
}

interface HostGlobals {
  readonly process?: ProcessLike;
  readonly Deno?: { readonly unrefTimer?: (id: unknown) => void };
}

/** The host's global object, whatever of it is there. */
export const host = globalThis as unknown as HostGlobals;

/** Reads an environment variable; empty counts as absent, and so does a host that refuses to tell (Deno without permission). */
export function environmentVariable(name: string): string | undefined {
  try {
    return host.process?.env?.[name] || undefined;
  } catch {
    return undefined;
  }
}

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
