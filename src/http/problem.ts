/** Every error of the HTTP surface as an RFC 9457 problem: the one place where refusals become documents. */
import { Refusal, type RefusalCode, REFUSALS } from '../core/refusal.ts';

export const PROBLEM_TYPE = 'application/problem+json';

/** A problem, ready to be sent. */
export interface Problem {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
}

/** docs/errors.md explains each code. */
const typeOf = (code: RefusalCode): string => `urn:mcp-metrics:problem:${code}`;

export function problemOf(refusal: Refusal, requestId: string): Problem {
  const { code, options } = refusal;
  const { status, title } = REFUSALS[code];
  return {
    status,
    headers: {
      'Content-Type': PROBLEM_TYPE,
      ...(options.retryAfterSeconds === undefined ? undefined : { 'Retry-After': String(options.retryAfterSeconds) }),
      ...options.headers,
    },
    body: JSON.stringify({
      ...options.extensions,
      type: typeOf(code),
      title,
      status,
      detail: refusal.message,
      code,
      request_id: requestId,
    }),
  };
}

/** Whatever was thrown, as a refusal; what is none is an internal error whose cause stays inside. */
export const refusalOf = (error: unknown): Refusal =>
  error instanceof Refusal
    ? error
    : new Refusal(
        'internal',
        'The gateway failed while it answered this request. Retry, and report the request_id if it persists.',
        { cause: error },
      );
