/** The public surface of mcp-metrics-gateway: what pipeline.config.ts, stages and sinks of your own are written against. */
export { definePipeline, PipelineError } from './core/pipeline.ts';
export type { Chain, Pipeline, PipelineDefinition, ServerOptions } from './core/pipeline.ts';
export type { Processor, ProcessorContext } from './core/processor.ts';
export type {
  Admitted,
  Authenticated,
  Client,
  Enriched,
  MetricBatch,
  Receipt,
  Submission,
  Validated,
} from './core/phases.ts';
export type { DimensionValue, Json, MetricEvent, MetricType, Resource } from './core/metric.ts';
export { Refusal, REFUSALS } from './core/refusal.ts';
export type { RefusalCode, RefusalOptions } from './core/refusal.ts';
export { Unacceptable } from './core/sink.ts';
export type {
  AnySink,
  Batching,
  DeliveredBatch,
  DeliveredEvent,
  Sink,
  SinkContext,
  SinkHealth,
  TotalsReader,
} from './core/sink.ts';
export type { TotalsOptions } from './core/totals.ts';
export type { Checkpoint } from './core/journal.ts';
export { auth } from './processors/auth.ts';
export type { AuthOptions } from './processors/auth.ts';
export { rateLimit } from './processors/rate-limit.ts';
export type { RateLimitOptions } from './processors/rate-limit.ts';
export { validate } from './processors/validate.ts';
export type { ValidateOptions } from './processors/validate.ts';
export { enrich } from './processors/enrich.ts';
export type { EnrichOptions } from './processors/enrich.ts';
export { buffer } from './processors/buffer.ts';
export type { BufferOptions } from './processors/buffer.ts';
export { prometheus } from './sinks/otel/prometheus.ts';
export type { PrometheusOptions } from './sinks/otel/prometheus.ts';
export { otlp } from './sinks/otel/otlp.ts';
export type { OtlpOptions } from './sinks/otel/otlp.ts';
export { sqlite } from './sinks/sqlite/sqlite.ts';
export type { SqliteOptions } from './sinks/sqlite/sqlite.ts';
export { environment, EnvironmentError } from './environment.ts';
export type { Environment } from './environment.ts';
