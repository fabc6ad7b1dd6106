/** Remembered answers in memory, with the contract of `IdempotencyIndex`. */
import type { IdempotencyIndex } from '../../src/core/idempotency.ts';
import type { Receipt } from '../../src/core/phases.ts';
import { Refusal } from '../../src/core/refusal.ts';

export function memoryIdempotency(): IdempotencyIndex & { readonly size: () => number } {
  const entries = new Map<string, { bodyHash: string; receipt?: Receipt }>();
  const name = (keyId: string, key: string): string => `${keyId}/${key}`;
  return {
    claim: (keyId, { key, bodyHash }) => {
      const entry = entries.get(name(keyId, key));
      if (entry === undefined) {
        entries.set(name(keyId, key), { bodyHash });
        return undefined;
      }
      if (entry.bodyHash !== bodyHash) throw new Refusal('invalid', 'Idempotency-Key was used with another body.');
      if (entry.receipt === undefined) throw new Refusal('conflict', 'The first request with this key is in flight.');
      return entry.receipt;
    },
    settle: (keyId, { key, bodyHash }, receipt) => {
      entries.set(name(keyId, key), { bodyHash, receipt });
    },
    release: (keyId, { key }) => {
      entries.delete(name(keyId, key));
    },
    size: () => entries.size,
  };
}
