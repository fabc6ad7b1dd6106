/** What `validate()` can be given. */
import { checkOptions, checkPositive } from '../../core/options.ts';
import { type DaysOf, DEFAULT_LIMITS, type MetricLimits } from './metric-limits.ts';

export interface ValidateOptions extends Partial<MetricLimits> {
  /** Bytes of a body, as sent and again after decompression. Default 10 MiB. */
  readonly maxBodyBytes?: number;
  /** How far ahead of arrival a timestamp may lie. Default 300,000: 5 minutes. */
  readonly maxFutureMs?: number;
  /**
   * Days before arrival that a timestamp may lie. A function is asked with every request, by type. Default: as long as
   * metrics of the type are kept by the retention policies, which may change while the gateway runs.
   */
  readonly maxAgeDays?: number | DaysOf;
  /** Days before arrival from which on a timestamp is taken with a warning. Default 7. */
  readonly warnAgeDays?: number;
  /** Errors told to the client; the rest is counted. Default 100. */
  readonly maxErrors?: number;
  /** Characters of `Idempotency-Key`. Default 128. */
  readonly maxIdempotencyKeyLength?: number;
}

/** @throws TypeError for an option that there is not; RangeError for a limit that is no number above 0 */
export function limitsOf(options: ValidateOptions): MetricLimits {
  const { maxAgeDays, ...numbers } = options;
  checkOptions('validate', options, {
    maxMetrics: true,
    maxServiceLength: true,
    maxVersionLength: true,
    maxInstanceIdLength: true,
    maxValue: true,
    maxDurationMs: true,
    maxDimensions: true,
    maxDimensionKeyLength: true,
    maxDimensionValueLength: true,
    maxMetadataFields: true,
    maxMetadataKeyLength: true,
    maxMetadataLength: true,
    maxBodyBytes: true,
    maxFutureMs: true,
    maxAgeDays: true,
    warnAgeDays: true,
    maxErrors: true,
    maxIdempotencyKeyLength: true,
  });
  checkPositive('validate', { ...numbers, ...(typeof maxAgeDays === 'number' ? { maxAgeDays } : undefined) });
  const names = Object.keys(DEFAULT_LIMITS) as (keyof MetricLimits)[];
  return Object.fromEntries(
    names.map((name) => [name, options[name] ?? DEFAULT_LIMITS[name]]),
  ) as unknown as MetricLimits;
}
