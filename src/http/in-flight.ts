/** What may be under way at once: requests, and bytes of bodies. Past either limit new work is refused with 503. */
import type { ServerOptions } from '../core/pipeline.ts';
import type { Telemetry } from '../core/ports.ts';
import { Refusal } from '../core/refusal.ts';

/** Registers what is under way with the gateway's own metrics. */
export function registerInFlight(telemetry: Telemetry, inFlight: Pick<InFlight, 'requests' | 'bytes'>): void {
  telemetry.gauge(
    { name: 'mcp_gateway_requests_in_flight', help: 'Ingest requests between header and answer.', unit: '{request}' },
    inFlight.requests,
  );
  telemetry.gauge(
    { name: 'mcp_gateway_request_bytes_in_flight', help: 'Bytes of bodies being read and processed.', unit: 'By' },
    inFlight.bytes,
  );
}

/** The defaults stand at `server` of the pipeline. */
export type InFlightOptions = Pick<ServerOptions, 'maxInFlightRequests' | 'maxInFlightBytes'>;

export interface InFlight {
  /** @throws Refusal `overloaded` */
  readonly enter: () => void;
  /** @throws Refusal `overloaded`; nothing is reserved then */
  readonly reserve: (bytes: number) => void;
  /** Ends a request with all that it reserved. */
  readonly leave: (bytes: number) => void;
  readonly requests: () => number;
  readonly bytes: () => number;
}

export function createInFlight(options: InFlightOptions = {}): InFlight {
  const maxRequests = options.maxInFlightRequests ?? 4096;
  const maxBytes = options.maxInFlightBytes ?? 256 * 1024 * 1024;
  let requests = 0;
  let bytes = 0;
  const refusal = (what: string) =>
    new Refusal(
      'overloaded',
      `The gateway is busy: ${what} are being processed. Nothing was stored; send again later.`,
      {
        retryAfterSeconds: 1,
      },
    );
  return {
    enter: () => {
      if (requests >= maxRequests) throw refusal(`${requests} requests`);
      requests += 1;
    },
    reserve: (more) => {
      if (bytes + more > maxBytes) throw refusal(`${bytes} bytes of requests`);
      bytes += more;
    },
    leave: (reserved) => {
      requests -= 1;
      bytes -= reserved;
    },
    requests: () => requests,
    bytes: () => bytes,
  };
}
