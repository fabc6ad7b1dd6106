/** Calls a function of the service's own: one that fails costs its value, never the record that it belongs to. */
import type { MetricsClient } from './client.ts';

interface Values {
  readonly string: string;
  readonly number: number;
  readonly boolean: boolean;
}

/** @returns undefined where the function is missing, gives nothing, throws, or gives another type; the latter two are told once */
export function ask<Given, Type extends keyof Values>(
  client: MetricsClient,
  option: string,
  type: Type,
  find: ((given: Given) => unknown) | undefined,
  given: Given,
): Values[Type] | undefined {
  const kind = `option ${option}`;
  try {
    const value = find?.(given);
    if (value === undefined || value === null) return undefined;
    if (typeof value === type) return value as Values[Type];
    // Its rejection would end the process.
    if (value instanceof Promise) value.catch(() => {});
    client.warn?.(kind, `the function \`${option}\` gave no ${type}, metrics are recorded without it`);
  } catch (error) {
    client.warn?.(kind, `the function \`${option}\` threw, metrics are recorded without it: `, error);
  }
  return undefined;
}
