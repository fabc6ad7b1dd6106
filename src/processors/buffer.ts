/** Stage 5, the last: hands the batch to the journal and gives the receipt once it is durable. */
import { enterPhase } from '../core/brand.ts';
import type { Enriched, Receipt } from '../core/phases.ts';
import { builtIn, type Processor, type ProcessorContext } from '../core/processor.ts';
import { encodeRecord } from '../core/record.ts';
import { checkOptions, checkPositive } from '../core/options.ts';
import { LazyBatch } from './batch.ts';

export interface BufferOptions {
  /**
   * `disk`: a receipt is given once the batch is on disk, and survives `kill -9` and power loss. `memory`: for tests and
   * for metrics that may be lost with the process. Default `disk`.
   */
  readonly durability?: 'disk' | 'memory';
  /** Where the journal's segments lie. Default `journal` in the data directory. */
  readonly directory?: string;
  /** Bytes of the journal; once it is full, sinks that refuse make new requests get 503. Default 2 GiB, or less where the disk has less. */
  readonly maxJournalBytes?: number;
  /** Bytes of one segment file; space is freed segment by segment. Default 64 MiB. */
  readonly segmentBytes?: number;
  readonly idempotency?: {
    /** How long an answered `Idempotency-Key` is remembered. Default 86,400,000: 24 hours. */
    readonly ttlMs?: number;
    /** Keys remembered; beyond it the oldest go, counted. Default 100,000. */
    readonly maxKeys?: number;
  };
}

export interface BufferProcessor extends Processor<Enriched, Receipt> {
  /** Read by the gateway, which opens the journal by them. */
  readonly options: BufferOptions;
}

/** Ends the chain: one append to the journal per request. Flush intervals belong to the sinks' deliveries. */
export function buffer(options: BufferOptions = {}): BufferProcessor {
  checkOptions('buffer', options, {
    durability: true,
    directory: true,
    maxJournalBytes: true,
    segmentBytes: true,
    idempotency: true,
  });
  const { maxJournalBytes, segmentBytes, idempotency = {} } = options;
  checkOptions('buffer({ idempotency })', idempotency, { ttlMs: true, maxKeys: true });
  checkPositive('buffer', { maxJournalBytes, segmentBytes, ...idempotency });
  let context: ProcessorContext | undefined;
  return {
    name: 'buffer',
    [builtIn]: 'buffer',
    options,
    start: (given) => {
      context = given;
    },
    process: (batch) => {
      if (context === undefined) throw new Error('buffer: process() was called before start()');
      const { append, idempotency, builtInOnly, clock } = context;
      const accepted = builtInOnly ? batch.accepted : batch.events.length;
      const receipt = enterPhase<Receipt>({
        requestId: batch.submission.requestId,
        accepted,
        rejected: batch.rejected.length,
        dropped: Math.max(0, batch.accepted - accepted),
        errors: batch.errors,
        errorsOmitted: batch.errorsOmitted,
        warnings: batch.warnings,
      });
      const claim = batch.source.idempotency;
      // A batch that the user's stages emptied leaves nothing to keep, unless a retry is to get the same answer.
      if (accepted === 0 && claim === undefined) return receipt;
      const appended = append(encodeRecord(batch, receipt, builtInOnly));
      if (batch instanceof LazyBatch) batch.forgetBody();
      if (claim === undefined) return appended.then(() => receipt);
      return appended.then(({ sequence }) => {
        idempotency.settle(batch.client.keyId, claim, receipt, sequence, clock.now());
        return receipt;
      });
    },
  };
}
