/** The metrics that travel through the gateway: events from JSON, and the batch that carries them. */

export type Json = null | boolean | number | string | readonly Json[] | { readonly [key: string]: Json };

/** The closed list of metric types that emitters may send. */
export const METRIC_TYPES = [
  'auth_request',
  'tool_execution',
  'tool_discovery',
  'protocol_latency',
  'registry_operation',
  'health_check',
  'custom',
] as const;
export type MetricType = (typeof METRIC_TYPES)[number];

export type DimensionValue = string | number | boolean;

/** One thing that happened, as an emitter reported it in JSON. */
export interface MetricEvent {
  readonly type: MetricType;
  /** Milliseconds since the Unix epoch, UTC. */
  readonly timestamp: number;
  /** Finite. Seconds for `protocol_latency`, otherwise what the counter adds (usually 1). */
  readonly value: number;
  /** Milliseconds, 0 to 86,400,000; absent where the emitter measured none. 0 is a duration. */
  readonly durationMs?: number;
  readonly dimensions: Readonly<Record<string, DimensionValue>>;
  readonly metadata: Readonly<Record<string, Json>>;
}

/** A data point that arrives already aggregated (OTLP). Its place is kept; nothing produces one yet. */
export type OtlpPoint = never;

/** Who sent a batch, as the batch itself claims. */
export interface Resource {
  readonly service: string;
  readonly version?: string;
  readonly instanceId?: string;
  /** Further OpenTelemetry resource attributes that `enrich` adds. */
  readonly attributes: Readonly<Record<string, DimensionValue>>;
}

/** Why an item of a batch was left out; a label of `mcp_gateway_metrics_rejected_total`, so the list is closed. */
export type RejectionReason = 'type' | 'timestamp' | 'value' | 'duration' | 'dimensions' | 'metadata' | 'shape';

/** One item that was turned away while its neighbours went on. */
export interface RejectedItem {
  /** Index in the request's `metrics` array. */
  readonly index: number;
  readonly reason: RejectionReason;
}
