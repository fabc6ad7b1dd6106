/** Remembered answers by idempotency key, as a port. Implementation in src/journal/idempotency-index.ts. */
import type { IdempotencyClaim, Receipt } from './phases.ts';

export interface IdempotencyIndex {
  /**
   * Claims a key for a request that is about to be processed. The claim ends with `settle` or `release`.
   * @returns the first answer when this key and body were answered before
   * @throws Refusal `conflict` (409) while the first request is in flight, `invalid` (422) for another body
   */
  readonly claim: (keyId: string, claim: IdempotencyClaim) => Receipt | undefined;
  /** The batch is durable: remember its answer. */
  readonly settle: (keyId: string, claim: IdempotencyClaim, receipt: Receipt, sequence: number, at: number) => void;
  /** The request was refused: leave no trace of the key. */
  readonly release: (keyId: string, claim: IdempotencyClaim) => void;
}

/** Thrown out of the chain when a request was answered before: the first answer is given again, nothing counts twice. */
export class AlreadyAnswered extends Error {
  override readonly name = 'AlreadyAnswered';
  readonly receipt: Receipt;

  constructor(receipt: Receipt) {
    super('answered before');
    this.receipt = receipt;
  }
}
