/** Waits until the garbage collector has taken what nothing refers to any more. */
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { waitFor } from './wait-for.ts';

setFlagsFromString('--expose-gc');
const collect = runInNewContext('gc') as () => void;

/** @throws where some of them are still there after a while */
export const collected = (references: readonly WeakRef<object>[]): Promise<unknown> =>
  waitFor('the garbage collector', () => {
    collect();
    return references.every((reference) => reference.deref() === undefined);
  });
