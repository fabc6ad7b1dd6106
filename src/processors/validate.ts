/** Stage 3: reads the body, and sorts the metrics that can be taken from those that cannot. */
import { hash } from 'node:crypto';
import * as v from 'valibot';
import { enterPhase } from '../core/brand.ts';
import { AlreadyAnswered } from '../core/idempotency.ts';
import type { JsonMetric } from '../core/json-events.ts';
import type { RejectedItem, RejectionReason } from '../core/metric.ts';
import type { Admitted, BatchSource, IdempotencyClaim, Validated } from '../core/phases.ts';
import { builtIn, type Processor, type ProcessorContext } from '../core/processor.ts';
import { readResource } from '../core/record.ts';
import { Refusal } from '../core/refusal.ts';
import { parseTimestamp } from '../core/timestamp.ts';
import { LazyBatch } from './batch.ts';
import { isBody } from './validate/body-checker.ts';
import { createBodyScanner } from './validate/body-scanner.ts';
import { readIdempotencyKey } from './validate/idempotency-key.ts';
import { holdsEscapes, parseJson } from './validate/json-text.ts';
import { requireJson } from './validate/media-type.ts';
import { createMetricChecker } from './validate/metric-checker.ts';
import { readKey } from './auth.ts';
import { createErrorList, describeIssue, type ErrorList } from './validate/metric-errors.ts';
import {
  DAY_MS,
  type DaysOf,
  type MetricLimits,
  moveWindow,
  newWindow,
  SEMANTIC_VERSION,
} from './validate/metric-limits.ts';
import { createBodySchema, createMetricSchema } from './validate/metric-schema.ts';
import { limitsOf, type ValidateOptions } from './validate/options.ts';

export type { ValidateOptions };

export interface ValidateProcessor extends Processor<Admitted, Validated> {
  readonly options: { readonly maxBodyBytes: number; readonly limits: MetricLimits };
}

/** Where nothing keeps metrics by a policy. */
const DEFAULT_AGE_DAYS = 90;
const NO_ATTRIBUTES = Object.freeze({});
const NO_TEXTS: readonly string[] = Object.freeze([]);
const NO_REJECTED: readonly RejectedItem[] = Object.freeze([]);

/** Checks the body and each of its metrics; single bad metrics are left out, and the rest goes on. */
export function validate(options: ValidateOptions = {}): ValidateProcessor {
  const limits = limitsOf(options);
  const maxBodyBytes = options.maxBodyBytes ?? 10 * 1024 * 1024;
  const maxFutureMs = options.maxFutureMs ?? 300_000;
  const { maxAgeDays } = options;
  const warnAgeMs = (options.warnAgeDays ?? 7) * DAY_MS;
  const maxErrors = options.maxErrors ?? 100;
  const maxIdempotencyKeyLength = options.maxIdempotencyKeyLength ?? 128;

  const scanner = createBodyScanner(limits);
  const checker = createMetricChecker(limits);
  const window = newWindow();
  let daysOf: DaysOf = typeof maxAgeDays === 'function' ? maxAgeDays : () => maxAgeDays ?? DEFAULT_AGE_DAYS;
  const metricSchema = createMetricSchema(limits, window);
  const bodySchema = createBodySchema(limits);
  let context: ProcessorContext | undefined;

  /** The metrics that cannot be taken. Items past a full error list are sorted out by the plain check alone. */
  const sortOut = (
    metrics: readonly unknown[],
    escaped: boolean,
    errors: ErrorList,
    secret: string | undefined,
  ): readonly RejectedItem[] => {
    checker.reset(escaped);
    let rejected: RejectedItem[] | undefined;
    for (let index = 0; index < metrics.length; index += 1) {
      const reason = checker.check(metrics[index], window);
      if (reason === undefined) continue;
      rejected ??= [];
      rejected.push({ index, reason });
      if (errors.full()) errors.omit();
      else describe(metrics[index], index, reason, errors, secret);
    }
    return rejected ?? NO_REJECTED;
  };

  const describe = (
    metric: unknown,
    index: number,
    reason: RejectionReason,
    errors: ErrorList,
    secret: string | undefined,
  ): void => {
    const { issues } = v.safeParse(metricSchema, metric);
    for (const issue of issues ?? []) errors.add(describeIssue(issue, `metrics[${index}]`, secret));
    // The two checks have one verdict; should they ever differ, the metric is still not taken without a word.
    if (issues === undefined) errors.add(`metrics[${index}]: refused for its ${reason}`);
  };

  /** A body of which all can be taken and nothing has to be said; undefined where that takes a closer look. */
  const checkPlain = ({ submission, client }: Admitted, source: BatchSource): Validated | undefined => {
    const { receivedAt, tally } = submission;
    const plain = scanner.scan(source.bytes, window, receivedAt - warnAgeMs);
    if (plain === undefined) return undefined;
    const { service, version, instanceId, metrics } = plain;
    tally.received(metrics);
    return enterPhase<Validated>(
      new LazyBatch({
        submission,
        client,
        resource: readResource({ service, version: version ?? null, instance_id: instanceId ?? null }, NO_ATTRIBUTES),
        accepted: metrics,
        rejected: NO_REJECTED,
        errors: NO_TEXTS,
        errorsOmitted: 0,
        warnings: NO_TEXTS,
        source,
        body: undefined,
      }),
    );
  };

  const checkClosely = ({ submission, client }: Admitted, source: BatchSource): Validated => {
    const { receivedAt, tally, headers } = submission;
    const { bytes } = source;
    const secret = readKey(headers);
    const parsed = parseJson(bytes);
    const metrics = (parsed as { metrics?: unknown } | null)?.metrics;
    if (Array.isArray(metrics)) tally.received(metrics.length);
    const errors = createErrorList(maxErrors);
    if (!isBody(parsed, limits)) {
      for (const issue of v.safeParse(bodySchema, parsed).issues ?? []) errors.add(describeIssue(issue, '', secret));
      const detail = errors.errors[0] ?? 'body: must be { service, metrics }';
      throw invalid(detail, Array.isArray(metrics) ? metrics.length : 0, errors, []);
    }
    const rejected = sortOut(parsed.metrics, holdsEscapes(bytes), errors, secret);
    for (const [reason, count] of countReasons(rejected)) tally.rejected(reason, count);
    const warnings: string[] = [];
    if (typeof parsed.version === 'string' && !SEMANTIC_VERSION.test(parsed.version)) {
      warnings.push('version: not a semantic version such as 1.4.2');
    }
    const warnBefore = receivedAt - warnAgeMs;
    if (checker.earliest() < warnBefore) warnings.push(...oldMetrics(parsed.metrics, rejected, warnBefore));
    const accepted = parsed.metrics.length - rejected.length;
    if (accepted === 0) {
      throw invalid(
        `None of the ${rejected.length} metrics can be taken: ${errors.errors[0] ?? ''}`,
        rejected.length,
        errors,
        warnings,
      );
    }
    return enterPhase<Validated>(
      new LazyBatch({
        submission,
        client,
        resource: readResource(parsed, NO_ATTRIBUTES),
        accepted,
        rejected,
        errors: errors.errors,
        errorsOmitted: errors.omitted(),
        warnings,
        source,
        body: parsed,
      }),
    );
  };

  const check = (
    admitted: Admitted,
    bytes: Uint8Array,
    claim: IdempotencyClaim | undefined,
    { builtInOnly }: ProcessorContext,
  ): Validated => {
    const source: BatchSource =
      claim === undefined ? { format: 'json', bytes } : { format: 'json', bytes, idempotency: claim };
    moveWindow(window, admitted.submission.receivedAt, maxFutureMs, daysOf);
    // A stage of the user's own looks at the events, which are read from the parsed body.
    return (builtInOnly ? checkPlain(admitted, source) : undefined) ?? checkClosely(admitted, source);
  };

  return {
    name: 'validate',
    [builtIn]: 'validate',
    options: { maxBodyBytes, limits },
    start: (given) => {
      context = given;
      if (maxAgeDays === undefined && given.keptDays !== undefined) daysOf = given.keptDays;
    },
    process: (admitted) => {
      if (context === undefined) throw new Error('validate: process() was called before start()');
      const given = context;
      const { headers, body } = admitted.submission;
      requireJson(headers);
      const key = readIdempotencyKey(headers, maxIdempotencyKeyLength);
      const reading = body.read(maxBodyBytes);
      if (key === undefined) return reading.then((bytes) => check(admitted, bytes, undefined, given));
      return reading.then((bytes) => {
        const claim: IdempotencyClaim = { key, bodyHash: hash('sha256', bytes) };
        const { keyId } = admitted.client;
        const { idempotency } = given;
        const answered = idempotency.claim(keyId, claim);
        if (answered !== undefined) throw new AlreadyAnswered(answered);
        try {
          return check(admitted, bytes, claim, given);
        } catch (error) {
          idempotency.release(keyId, claim);
          throw error;
        }
      });
    },
  };
}

function countReasons(rejected: readonly RejectedItem[]): ReadonlyMap<RejectionReason, number> {
  const counts = new Map<RejectionReason, number>();
  for (const { reason } of rejected) counts.set(reason, (counts.get(reason) ?? 0) + 1);
  return counts;
}

/** One warning for all old metrics: the first of them by its path, the others by their number. */
function oldMetrics(metrics: readonly unknown[], rejected: readonly RejectedItem[], before: number): readonly string[] {
  const left = new Set(rejected.map((item) => item.index));
  const old = metrics.flatMap((metric, index) => {
    const { timestamp } = left.has(index) ? {} : (metric as JsonMetric);
    return typeof timestamp === 'string' && parseTimestamp(timestamp) < before ? [index] : [];
  });
  if (old.length === 0) return [];
  const others = old.length === 1 ? '' : `; so are ${old.length - 1} more`;
  return [`metrics[${old[0]}].timestamp: older than ${new Date(before).toISOString()}${others}`];
}

function invalid(detail: string, rejected: number, errors: ErrorList, warnings: readonly string[]): Refusal {
  const omitted = errors.omitted();
  return new Refusal('invalid', detail, {
    extensions: {
      accepted: 0,
      rejected,
      errors: errors.errors,
      ...(omitted === 0 ? undefined : { errors_omitted: omitted }),
      warnings,
    },
  });
}
