/** How a journal turns appends away. */
import { Refusal } from '../core/refusal.ts';

/** Sinks free space as they catch up; what a client should wait before it tries again. */
const FULL_RETRY_SECONDS = 5;
const TROUBLE_RETRY_SECONDS = 5;

export const journalFull = (bytes: number, maxBytes: number): Refusal =>
  new Refusal(
    'overloaded',
    `The journal is full (${bytes} of ${maxBytes} bytes): its slowest sink has to catch up first. Nothing of this request was kept; send it again later.`,
    { retryAfterSeconds: FULL_RETRY_SECONDS },
  );

export const queueFull = (bytes: number): Refusal =>
  new Refusal(
    'overloaded',
    `${bytes} bytes already wait for the disk. Nothing of this request was kept; send it again later.`,
    { retryAfterSeconds: 1 },
  );

/** @param trouble what is wrong with the disk */
export const journalFailed = (trouble: string, cause?: unknown): Refusal =>
  new Refusal(
    'overloaded',
    `The journal cannot be written (${trouble}). Nothing of this request was kept; send it again later.`,
    { retryAfterSeconds: TROUBLE_RETRY_SECONDS, cause },
  );

export const journalClosed = (): Refusal =>
  new Refusal('overloaded', 'The gateway is stopping. Nothing of this request was kept; send it again.', {
    retryAfterSeconds: 2,
  });

export const recordTooLarge = (bytes: number, maxBytes: number): Refusal =>
  new Refusal(
    'too_large',
    `The batch takes ${bytes} bytes in the journal, which holds at most ${maxBytes}; send it in smaller batches.`,
  );
