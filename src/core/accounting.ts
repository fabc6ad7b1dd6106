/**
 * The books over everything that comes in: at any instant
 * `received = accepted + rejected + dropped + refused + replayed + in flight`.
 */
import type { Outcome, Tally } from './phases.ts';
import type { Clock, Telemetry } from './ports.ts';

export interface Accounting {
  /** Opens the books of one request. */
  readonly open: () => Tally;
  /** Metrics accepted since the process runs. */
  readonly accepted: () => number;
}

/** Registers the accounting metrics and hands out the books of each request. */
export function createAccounting(telemetry: Telemetry, clock: Pick<Clock, 'monotonic'>): Accounting {
  const metric = (name: string, help: string) =>
    telemetry.counter({ name: `mcp_gateway_metrics_${name}_total`, help, unit: '{metric}' });
  const received = metric('received', 'Metrics in bodies that parsed.');
  const accepted = metric('accepted', 'Metrics that were made durable and answered with 200.');
  const rejected = metric('rejected', 'Metrics turned away one by one, by reason.');
  const dropped = metric('dropped', "Metrics left out by a stage of the pipeline's own, by stage.");
  const refused = metric('refused', 'Metrics in requests that were refused as a whole, by code.');
  const replayed = metric('replayed', 'Metrics in requests that were answered again for their idempotency key.');
  const requests = telemetry.counter({
    name: 'mcp_gateway_requests_total',
    help: 'Requests to the ingest endpoint by outcome: ok, replayed, or the code of the refusal.',
    unit: '{request}',
  });
  const duration = telemetry.histogram({
    name: 'mcp_gateway_request_duration_seconds',
    help: 'Requests to the ingest endpoint, from the head to the answer, whatever it is.',
    unit: 's',
  });
  let inFlight = 0;
  telemetry.gauge(
    { name: 'mcp_gateway_metrics_in_flight', help: 'Metrics received and not yet answered.', unit: '{metric}' },
    () => inFlight,
  );

  const open = (): Tally => {
    const began = clock.monotonic();
    let total = 0;
    /** Of the received metrics, those whose fate is not in the books yet. */
    let rest = 0;
    const fates: (() => void)[] = [];
    return {
      received: (metrics) => {
        total = metrics;
        rest = metrics;
        received.add(metrics);
        inFlight += metrics;
      },
      rejected: (reason, metrics) => {
        rest -= metrics;
        fates.push(() => rejected.add(metrics, { reason }));
      },
      dropped: (stage, metrics) => {
        rest -= metrics;
        fates.push(() => dropped.add(metrics, { stage }));
      },
      settle: (outcome) => {
        inFlight -= total;
        if (outcome.kind === 'replayed') replayed.add(total);
        else {
          for (const book of fates) book();
          if (outcome.kind === 'ok') accepted.add(rest);
          else if (rest > 0) refused.add(rest, { code: outcome.code });
        }
        requests.add(1, REQUEST_LABELS(outcome));
        duration.record((clock.monotonic() - began) / 1000);
      },
    };
  };
  return { open, accepted: () => accepted.value() };
}

const OK = { code: 'ok' } as const;
const REPLAYED = { code: 'replayed' } as const;
const REQUEST_LABELS = (outcome: Outcome) =>
  outcome.kind === 'ok' ? OK : outcome.kind === 'replayed' ? REPLAYED : { code: outcome.code };
