/** `createMetricsClient`: records metrics at once and sends them in the background. No call throws, waits or blocks. */
import { between, createEncoder } from './encode.ts';
import type {
  AuthRequestFields,
  CommonFields,
  CustomFields,
  HealthCheckFields,
  ProtocolLatencyFields,
  RegistryOperationFields,
  ToolDiscoveryFields,
  ToolExecutionFields,
} from './metric-fields.ts';
import { resolveOptions } from './options.ts';
import type { MetricsClientOptions } from './options.ts';
import { attempt } from './runtime.ts';
import { createSender } from './sender.ts';
import type { ClientStats } from './stats.ts';
import { hashUser } from './user-hash.ts';

export interface MetricsClient {
  /** False where no key is known or the client was switched off: every call does nothing. */
  readonly enabled: boolean;
  readonly authRequest: (fields: AuthRequestFields) => void;
  readonly toolExecution: (fields: ToolExecutionFields) => void;
  readonly toolDiscovery: (fields: ToolDiscoveryFields) => void;
  readonly protocolLatency: (fields: ProtocolLatencyFields) => void;
  readonly registryOperation: (fields: RegistryOperationFields) => void;
  readonly healthCheck: (fields: HealthCheckFields) => void;
  /** A metric of your own, counted under `metricName`. */
  readonly custom: (metricName: string, fields?: CustomFields) => void;
  /** A pseudonym of 12 hexadecimal digits; empty for an empty id, and for what is no text. */
  readonly hashUser: (id: string | null | undefined) => string;
  /** Sends now; resolves once what was recorded before is settled, or after `timeoutMs` (default 5,000). Never rejects. */
  readonly flush: (options?: FlushOptions) => Promise<void>;
  /** Sends what is left, at most for `timeoutMs` (default 5,000); what then remains is dropped and counted. Never rejects. */
  readonly shutdown: (options?: FlushOptions) => Promise<void>;
  /** What became of the metrics so far. */
  readonly stats: () => ClientStats;
  /** Tells the service of a fault, each kind once: for instrumentation. */
  readonly warn?: (kind: string, message: string, detail?: unknown) => void;
}

export interface FlushOptions {
  /** Milliseconds. Default 5,000. */
  readonly timeoutMs?: number;
  /** Whether the program is about to end: `flush` then tries at once, and ends a request that hangs when its time is over. Default false. */
  readonly final?: boolean;
}

function timeoutOf(options: FlushOptions | undefined): number {
  const PRESET_MS = 5000;
  return attempt(() => between(options?.timeoutMs, PRESET_MS, 0, 2e9)) ?? PRESET_MS;
}

export function createMetricsClient(options?: MetricsClientOptions): MetricsClient {
  const resolved = resolveOptions(options);
  const { warn } = resolved;
  const sender = createSender(resolved);

  /** A method that records one type of metric; `valueOf` gives what its counter adds. */
  const recorder = <Given extends CommonFields>(
    type: string,
    dimensions: string,
    metadata = 'errorCode',
    valueOf: (fields: Given) => number = () => 1,
  ): ((given: Given, metricName?: string) => void) => {
    const encode = createEncoder(type, dimensions, metadata, resolved.maxTextLength);
    return (given, metricName) => {
      if (resolved.disabled) return;
      // All that looks into the caller's objects stays in here: they may be anything, and their getters may throw.
      try {
        const fields = metricName === undefined ? given : { ...given, metricName };
        sender.enqueue(encode(fields, valueOf(fields)));
      } catch (error) {
        sender.enqueue(undefined);
        warn('invalid', 'metric dropped: ', error);
      }
    };
  };

  const custom = recorder<CustomFields>('custom', 'metricName', '', ({ value = 1 }) => value);

  return {
    enabled: !resolved.disabled,
    authRequest: recorder('auth_request', 'success method server userHash'),
    toolExecution: recorder(
      'tool_execution',
      'toolName method success serverName serverPath clientName clientVersion userHash',
      'errorCode inputSizeBytes outputSizeBytes',
    ),
    toolDiscovery: recorder(
      'tool_discovery',
      'query resultsCount topKServices topNTools',
      'embeddingTimeMs searchTimeMs:faiss_search_time_ms errorCode',
    ),
    protocolLatency: recorder(
      'protocol_latency',
      'flowStep serverName sessionKey userHash',
      '',
      ({ latencySeconds }) => latencySeconds,
    ),
    registryOperation: recorder('registry_operation', 'operation resourceType success resourceId userHash'),
    healthCheck: recorder('health_check', 'endpoint healthy statusCode'),
    custom: (metricName, fields) => custom(fields as CustomFields, metricName),
    hashUser: (id) => hashUser(id, resolved.userHashSalt),
    flush: (given) =>
      sender.flush(
        timeoutOf(given),
        attempt(() => given?.final),
      ),
    shutdown: (given) => sender.shutdown(timeoutOf(given)),
    stats: sender.stats,
    warn,
  };
}
