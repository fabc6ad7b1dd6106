/** Runs a request through the chain, keeps its books, and turns whatever goes wrong into a refusal. */
import { AlreadyAnswered, type IdempotencyIndex } from './idempotency.ts';
import type { Enriched, MetricBatch, Receipt, Submission } from './phases.ts';
import type { Chain } from './pipeline.ts';
import type { Log } from './ports.ts';
import { builtIn, type Processor } from './processor.ts';
import { Refusal } from './refusal.ts';

export interface RunnerDependencies {
  readonly log: Log;
  readonly idempotency: IdempotencyIndex;
}

/** Answers one request; the receipt of an earlier one where its idempotency key was answered before. */
export type Run = (submission: Submission) => Promise<Receipt>;

export function createRunner(chain: Chain, { log, idempotency }: RunnerDependencies): Run {
  const stages = chain as unknown as readonly Processor<unknown, unknown>[];

  return async (submission) => {
    let value: unknown = submission;
    let batch: MetricBatch | undefined;
    try {
      for (const stage of stages) {
        const given = value;
        const result = stage.process(given);
        value = result instanceof Promise ? await result : result;
        if (stage[builtIn] === undefined) countDropped(stage.name, given as Enriched, value as Enriched, submission);
        if (stage[builtIn] === 'validate') batch = value as MetricBatch;
      }
      submission.tally.settle({ kind: 'ok' });
      return value as Receipt;
    } catch (error) {
      if (error instanceof AlreadyAnswered) {
        const { accepted, rejected, dropped } = error.receipt;
        submission.tally.received(accepted + rejected + dropped);
        submission.tally.settle({ kind: 'replayed' });
        return error.receipt;
      }
      if (batch?.source.idempotency !== undefined) idempotency.release(batch.client.keyId, batch.source.idempotency);
      const refusal = error instanceof Refusal ? error : unexpected(error, submission, log);
      submission.tally.settle({ kind: 'refused', code: refusal.code });
      throw refusal;
    }
  };
}

/** The runtime keeps the books of users' stages; they need not. */
function countDropped(name: string, given: Enriched, result: Enriched, submission: Submission): void {
  if (!Array.isArray(result?.events))
    throw new TypeError(`stage "${name}" returned no batch; return the input or a copy of it with other events`);
  const dropped = given.events.length - result.events.length;
  if (dropped < 0)
    throw new TypeError(
      `stage "${name}" returned ${-dropped} more events than it was given; a stage may change or drop events`,
    );
  if (dropped > 0) submission.tally.dropped(name, dropped);
}

function unexpected(error: unknown, submission: Submission, log: Log): Refusal {
  log.error({ err: error, requestId: submission.requestId }, 'a stage failed unexpectedly; the request was refused');
  return new Refusal(
    'internal',
    'The gateway failed while it processed this request; nothing was stored. Retry, and report the request_id if it persists.',
    {
      cause: error,
    },
  );
}
