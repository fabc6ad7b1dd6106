/** One OTLP push, in the totals thread: an OpenTelemetry reader that exports at an interval and knows what arrived. */
import { ExportResultCode } from '@opentelemetry/core';
import { OTLPMetricExporter } from '@opentelemetry/exporter-metrics-otlp-proto';
import { CompressionAlgorithm } from '@opentelemetry/otlp-exporter-base';
import type { MetricData, MetricProducer, ResourceMetrics, ScopeMetrics } from '@opentelemetry/sdk-metrics';
import type { MetricFamily } from '../../core/ports.ts';
import { CumulativeReader } from './cumulative-reader.ts';
import type { LogLine } from './messages.ts';
import { toMetricData } from './metric-data.ts';
import { SCOPE_NAME } from './metric-producer.ts';
import type { OtlpSettings } from './reader-settings.ts';
import { splitMetrics } from './split-metrics.ts';

export interface OtlpPushOptions {
  readonly name: string;
  readonly settings: OtlpSettings;
  readonly producer: MetricProducer;
  readonly version: string;
  readonly processStart: number;
  readonly now: () => number;
  /** Running metric count that the totals cover at this instant. */
  readonly count: () => number;
  /** The gateway's own metrics; undefined where they could not be had in time. */
  readonly families: () => Promise<readonly MetricFamily[] | undefined>;
  readonly log: (line: LogLine) => void;
  /** An export ended. @param failure why it failed; undefined: the collector took all of it */
  readonly onExport: (count: number, failure: string | undefined) => void;
}

export interface OtlpPush {
  /** Begins exporting at the interval: from now on the totals do not go back. */
  readonly start: () => void;
  /** Exports once more, within a deadline, and ends. Nothing is exported before `start`. */
  readonly stop: (deadlineMs: number) => Promise<void>;
}

export function createOtlpPush(options: OtlpPushOptions): OtlpPush {
  const { name, settings, log } = options;
  const reader = new CumulativeReader(options.producer);
  let exporter = openExporter(settings);
  let timer: NodeJS.Timeout | undefined;
  let running: Promise<void> | undefined;
  let failingSince: number | undefined;

  /** The exporter's callback tells the outcome; its forceFlush() resolves whatever the collector answered. */
  const send = (part: ResourceMetrics): Promise<void> =>
    new Promise((resolve, reject) => {
      // The exporter retries within the timeout, and gives up; an answer that drips in byte by byte escapes it.
      const guard = setTimeout(() => {
        exporter = openExporter(settings);
        reject(new Error(`no complete answer within ${settings.timeoutMs * 2} ms`));
      }, settings.timeoutMs * 2);
      exporter.export(part, ({ code, error }) => {
        clearTimeout(guard);
        if (code === ExportResultCode.SUCCESS) resolve();
        else reject(error ?? new Error('the export failed'));
      });
    });

  const exportNow = async (): Promise<void> => {
    const families = settings.selfMetrics ? await options.families() : undefined;
    const count = options.count();
    let failure: string | undefined;
    try {
      const { resourceMetrics } = await reader.collect();
      const own = families === undefined ? [] : [selfScope(options, families)];
      const whole = { ...resourceMetrics, scopeMetrics: [...resourceMetrics.scopeMetrics, ...own] };
      for (const part of splitMetrics(whole, settings.maxPointsPerRequest)) await send(part);
    } catch (error) {
      failure = describe(error);
    }
    tell(failure);
    options.onExport(count, failure);
  };

  /** Log lines for changes of state, not for every failure. */
  const tell = (failure: string | undefined): void => {
    if (failure !== undefined && failingSince === undefined) {
      failingSince = options.now();
      log({
        level: 'warn',
        fields: { reader: name, failure },
        message: 'the OTLP export failed; each next one carries the whole totals again',
      });
    } else if (failure === undefined && failingSince !== undefined) {
      const outageMs = options.now() - failingSince;
      failingSince = undefined;
      log({ level: 'info', fields: { reader: name, outageMs }, message: 'the OTLP export works again' });
    }
  };

  /** Never rejects; an export that takes longer than the interval delays the next. */
  const run = (): Promise<void> => {
    running ??= exportNow().finally(() => (running = undefined));
    return running;
  };

  return {
    start: () => {
      timer ??= setInterval(() => void run(), settings.intervalMs);
    },
    stop: async (deadlineMs) => {
      if (timer === undefined) return;
      clearInterval(timer);
      const last = (running ?? Promise.resolve()).then(run);
      let expire: NodeJS.Timeout | undefined;
      const expired = new Promise<void>((resolve) => (expire = setTimeout(resolve, deadlineMs)));
      await Promise.race([last, expired]);
      clearTimeout(expire);
    },
  };
}

const COMPRESSIONS = { gzip: CompressionAlgorithm.GZIP, none: CompressionAlgorithm.NONE } as const;

function openExporter({ url, headers, timeoutMs, compression }: OtlpSettings): OTLPMetricExporter {
  return new OTLPMetricExporter({
    ...(url === undefined ? undefined : { url }),
    headers: { ...headers },
    timeoutMillis: timeoutMs,
    ...(compression === undefined ? undefined : { compression: COMPRESSIONS[compression] }),
  });
}

function selfScope(options: OtlpPushOptions, families: readonly MetricFamily[]): ScopeMetrics {
  const endMs = options.now();
  const metrics: MetricData[] = families
    .filter(({ series }) => series.length > 0)
    .map((family) => toMetricData(family, options.processStart, endMs));
  return { scope: { name: `${SCOPE_NAME}/self`, version: options.version }, metrics };
}

/** One line without what the collector's answer may hold beyond its status. */
function describe(error: unknown): string {
  const { message, code } = error as { message?: string; code?: number | string };
  const text = message === undefined || message === '' ? String(error) : message;
  return (code === undefined ? text : `${code} ${text}`).slice(0, 300);
}
