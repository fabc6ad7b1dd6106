/** What a contract is made of: named checks that any test runner can run. */

/** One sentence about a plugin, and the check that throws where it is not true. */
export interface ContractCheck {
  readonly name: string;
  readonly check: () => Promise<void>;
}

/** Thrown by a check: what the plugin did, and what its contract asks for. */
export class ContractError extends Error {
  override readonly name = 'ContractError';
}

/** Milliseconds that a plugin may take for one call in a check. */
const DEADLINE_MS = 10_000;

/** @throws ContractError where `what` has not settled in time */
export async function within<Value>(what: string, value: Value | Promise<Value>): Promise<Value> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => reject(new ContractError(`${what} did not settle within ${DEADLINE_MS} ms`)), DEADLINE_MS);
  });
  try {
    return await Promise.race([value, late]);
  } finally {
    clearTimeout(timer);
  }
}

/** @throws ContractError where `what` rejects or throws; the cause is what it threw */
export async function mustNotFail<Value>(what: string, call: () => Value | Promise<Value>): Promise<Value> {
  try {
    return await within(what, call());
  } catch (error) {
    if (error instanceof ContractError) throw error;
    throw new ContractError(`${what} failed: ${error instanceof Error ? error.message : String(error)}`, {
      cause: error,
    });
  }
}

export function must(condition: boolean, what: string): asserts condition {
  if (!condition) throw new ContractError(what);
}

/** Freezes plain data all the way down, so that a plugin that changes it is found. */
export function deepFreeze<Value>(value: Value): Value {
  if (typeof value === 'object' && value !== null && !ArrayBuffer.isView(value) && !Object.isFrozen(value)) {
    Object.freeze(value);
    for (const inner of Object.values(value)) deepFreeze(inner);
  }
  return value;
}
