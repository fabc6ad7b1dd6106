/** Requests that are not answered yet, by JSON-RPC id: bounded, and ready for ids that are used twice at a time. */
import type { RequestId } from './message.ts';
import type { Session } from './session.ts';

export interface OpenRequest {
  readonly method: string;
  /** Of the tool or prompt that is asked for. */
  readonly name: string | undefined;
  readonly startedAt: number;
  readonly inputBytes: number;
  readonly session: Session;
  readonly clientName: string | undefined;
  readonly clientVersion: string | undefined;
  readonly protocolVersion: string | undefined;
  readonly userHash: string | undefined;
  readonly progressToken: unknown;
  /** Another request with this id was open when this one came. */
  readonly duplicate: boolean;
  progress: number;
}

/** A peer that never gets its answers costs no more memory than this. */
const MAX_OPEN = 10_000;

export interface OpenRequests {
  readonly has: (id: RequestId) => boolean;
  readonly add: (id: RequestId, request: OpenRequest) => void;
  /** Takes the oldest with this id. */
  readonly take: (id: RequestId) => OpenRequest | undefined;
  readonly takeAll: () => readonly OpenRequest[];
  readonly withToken: (token: unknown) => OpenRequest | undefined;
}

export function createOpenRequests(): OpenRequests {
  const open = new Map<RequestId, OpenRequest[]>();
  const tokens = new Map<unknown, OpenRequest>();
  const forget = (request: OpenRequest): void => {
    if (tokens.get(request.progressToken) === request) tokens.delete(request.progressToken);
  };
  return {
    has: (id) => open.has(id),
    add: (id, request) => {
      const same = open.get(id);
      if (same === undefined) open.set(id, [request]);
      else if (same.length < MAX_OPEN) same.push(request);
      if (request.progressToken !== undefined) tokens.set(request.progressToken, request);
      if (open.size > MAX_OPEN) {
        for (const [oldest, requests] of open) {
          open.delete(oldest);
          requests.forEach(forget);
          break;
        }
      }
    },
    take: (id) => {
      const same = open.get(id);
      const request = same?.shift();
      if (same?.length === 0) open.delete(id);
      if (request !== undefined) forget(request);
      return request;
    },
    takeAll: () => {
      const all = [...open.values()].flat();
      open.clear();
      tokens.clear();
      return all;
    },
    withToken: (token) => tokens.get(token),
  };
}
