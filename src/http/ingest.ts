/** `POST /metrics`: a request off Node's socket becomes a submission, and the chain's receipt or refusal its answer. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import { enterPhase } from '../core/brand.ts';
import type { Receipt, Submission } from '../core/phases.ts';
import type { ServerOptions } from '../core/pipeline.ts';
import { Refusal } from '../core/refusal.ts';
import { SECURITY_HEADERS } from '../core/security-headers.ts';
import { send } from './answer.ts';
import type { HttpDependencies } from './dependencies.ts';
import type { InFlight, InFlightOptions } from './in-flight.ts';
import { problemOf, refusalOf } from './problem.ts';
import { requestBody } from './request-body.ts';
import { newRequestId } from './request-id.ts';
import { createSilenceWatch } from './silence.ts';

export type IngestOptions = InFlightOptions & Pick<ServerOptions, 'bodyTimeoutMs'>;

/** Answers a request in its own time; never throws. */
export type Ingest = (incoming: IncomingMessage, outgoing: ServerResponse) => void;

/** @param inFlight what may be under way at once */
export function createIngest(
  dependencies: HttpDependencies,
  inFlight: InFlight,
  options: Pick<ServerOptions, 'bodyTimeoutMs'> = {},
): Ingest {
  const { run, openTally, clock, log } = dependencies;
  const { bodyTimeoutMs = 30_000 } = options;
  const silence = createSilenceWatch(clock, bodyTimeoutMs);

  const answer = (
    incoming: IncomingMessage,
    outgoing: ServerResponse,
    submission: Submission,
    receipt: Receipt,
  ): void => {
    const headers = [...RECEIPT_HEADERS];
    for (const [name, value] of submission.answerHeaders) headers.push(name, value);
    if (receipt.requestId !== submission.requestId) headers.push('Idempotency-Replayed', 'true');
    send(incoming, outgoing, 200, headers, receiptJson(receipt));
  };

  const refuse = (
    incoming: IncomingMessage,
    outgoing: ServerResponse,
    { requestId, answerHeaders }: Pick<Submission, 'requestId' | 'answerHeaders'>,
    error: unknown,
  ): void => {
    if (!(error instanceof Refusal)) log.error({ err: error, requestId }, 'an ingest request failed unexpectedly');
    const problem = problemOf(refusalOf(error), requestId);
    const headers = [...PROBLEM_HEADERS];
    for (const [name, value] of answerHeaders) headers.push(name, value);
    for (const [name, value] of Object.entries(problem.headers)) headers.push(name, value);
    send(incoming, outgoing, problem.status, headers, problem.body);
  };

  return (incoming, outgoing) => {
    const requestId = newRequestId();
    const answerHeaders = new Map<string, string>();
    const tally = openTally();
    try {
      inFlight.enter();
    } catch (error) {
      tally.settle({ kind: 'refused', code: 'overloaded' });
      refuse(incoming, outgoing, { requestId, answerHeaders }, error);
      return;
    }
    let reserved = 0;
    const reserve = (bytes: number): void => {
      inFlight.reserve(bytes);
      reserved += bytes;
    };
    const submission = enterPhase<Submission>({
      requestId,
      receivedAt: clock.now(),
      protocol: 'json',
      headers: { get: (name) => headerOf(incoming, name) },
      remoteAddress: incoming.socket.remoteAddress ?? '',
      body: requestBody(incoming, outgoing, { clock, bodyTimeoutMs, silence, reserve }),
      answerHeaders,
      tally,
    });
    run(submission).then(
      (receipt) => {
        inFlight.leave(reserved);
        return answer(incoming, outgoing, submission, receipt);
      },
      (error: unknown) => {
        inFlight.leave(reserved);
        return refuse(incoming, outgoing, submission, error);
      },
    );
  };
}

/** A receipt is read by programs alone; what keeps a browser from running a document stays away from it. */
const RECEIPT_HEADERS: readonly string[] = [
  'Content-Type',
  'application/json',
  'X-Content-Type-Options',
  'nosniff',
  'Cache-Control',
  'no-store',
];
const PROBLEM_HEADERS: readonly string[] = SECURITY_HEADERS.flat();

const headerOf = (incoming: IncomingMessage, name: string): string | undefined => {
  const value = incoming.headers[name];
  return Array.isArray(value) ? value.join(', ') : value;
};

/** Emitters take exactly 200 as success; what became of the single metrics stands in the body. */
function receiptJson(receipt: Receipt): string {
  const { accepted, rejected, dropped, errors, errorsOmitted, warnings, requestId } = receipt;
  if (errors.length === 0 && warnings.length === 0 && rejected === 0 && dropped === 0) {
    return `{"status":"success","accepted":${accepted},"rejected":0,"errors":[],"warnings":[],"request_id":"${requestId}"}`;
  }
  return JSON.stringify({
    status: rejected === 0 ? 'success' : 'partial',
    accepted,
    rejected,
    ...(dropped === 0 ? undefined : { dropped }),
    errors,
    ...(errorsOmitted === 0 ? undefined : { errors_omitted: errorsOmitted }),
    warnings,
    request_id: requestId,
  });
}
