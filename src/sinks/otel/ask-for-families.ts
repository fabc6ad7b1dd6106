/** Asks the main thread for the gateway's own metrics, and does not wait for ever. */
import type { MetricFamily } from '../../core/ports.ts';

const PATIENCE_MS = 2_000;

export interface FamiliesQuestion {
  /** Undefined where the main thread did not answer in time. */
  readonly ask: () => Promise<readonly MetricFamily[] | undefined>;
  readonly answer: (id: number, families: readonly MetricFamily[]) => void;
}

export function askForFamilies(send: (id: number) => void): FamiliesQuestion {
  const waiting = new Map<number, (families: readonly MetricFamily[] | undefined) => void>();
  let lastId = 0;
  return {
    ask: () =>
      new Promise((resolve) => {
        lastId += 1;
        const id = lastId;
        const settle = (families: readonly MetricFamily[] | undefined): void => {
          clearTimeout(timer);
          waiting.delete(id);
          resolve(families);
        };
        const timer = setTimeout(() => settle(undefined), PATIENCE_MS);
        waiting.set(id, settle);
        send(id);
      }),
    answer: (id, families) => waiting.get(id)?.(families),
  };
}
