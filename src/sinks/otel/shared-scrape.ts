/** One serialisation at a time: scrapes that come during one share the next, so that each still sees its own instant. */
import type { ExpositionFormat } from './exposition.ts';

type Collect = (format: ExpositionFormat) => Promise<readonly Uint8Array[]>;

export function shareScrapes(collect: Collect): Collect {
  const next = new Map<ExpositionFormat, Promise<readonly Uint8Array[]>>();
  let running: Promise<unknown> = Promise.resolve();
  return (format) => {
    const waiting = next.get(format);
    if (waiting !== undefined) return waiting;
    const mine = running.then(() => {
      next.delete(format);
      return collect(format);
    });
    next.set(format, mine);
    running = mine.catch(() => {});
    return mine;
  };
}
