/** `createMetricsClient`: records metrics at once and sends them in the background. No call throws, waits or blocks. */
import { createEncoder, cut } from './encode.ts';
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
import { createSender } from './sender.ts';
import { newStats } from './stats.ts';
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
  /** A pseudonym of 12 hexadecimal digits; empty for an empty id. */
  readonly hashUser: (id: string | null | undefined) => string;
  /** Sends now; resolves once what was recorded before is settled, or after `timeoutMs` (default 5,000). Never rejects. */
  readonly flush: (options?: FlushOptions) => Promise<void>;
  /** Sends what is left, at most for `timeoutMs` (default 5,000); what then remains is dropped and counted. Never rejects. */
  readonly shutdown: (options?: FlushOptions) => Promise<void>;
  /** What became of the metrics so far. */
  readonly stats: () => ClientStats;
}

export interface FlushOptions {
  /** Milliseconds. Default 5,000. */
  readonly timeoutMs?: number;
}

const FLUSH_TIMEOUT_MS = 5000;

export function createMetricsClient(options: MetricsClientOptions = {}): MetricsClient {
  const resolved = resolveOptions(options);
  const { maxTextLength, warn } = resolved;
  const stats = newStats();
  const sender = resolved.disabled === undefined ? createSender(resolved, stats) : undefined;

  /** A method that records one type of metric; `valueOf` gives what its counter adds. */
  const recorder = <Given extends CommonFields>(
    type: string,
    dimensions: string,
    metadata = 'errorCode',
    valueOf: (fields: Given) => number = () => 1,
  ): ((fields: Given) => void) => {
    const encode = createEncoder(type, dimensions, metadata);
    return (fields) => {
      if (sender === undefined) return;
      try {
        sender.enqueue(encode(fields, valueOf(fields)));
      } catch (error) {
        stats.recorded += 1;
        stats.dropped.invalid += 1;
        warn('invalid', `a metric was dropped: ${String(error)}`);
      }
    };
  };

  const discovery = recorder<ToolDiscoveryFields>(
    'tool_discovery',
    'query resultsCount topKServices topNTools',
    'embeddingTimeMs searchTimeMs:faiss_search_time_ms errorCode',
  );
  const custom = recorder<CustomFields & { metricName: string }>('custom', 'metricName', '', ({ value = 1 }) => value);

  return {
    enabled: sender !== undefined,
    authRequest: recorder('auth_request', 'success method server userHash'),
    toolExecution: recorder(
      'tool_execution',
      'toolName method success serverName serverPath clientName clientVersion userHash',
      'errorCode inputSizeBytes outputSizeBytes',
    ),
    toolDiscovery: ({ query, ...fields }) =>
      discovery(query === undefined || maxTextLength === 0 ? fields : { ...fields, query: cut(query, maxTextLength) }),
    protocolLatency: recorder(
      'protocol_latency',
      'flowStep serverName sessionKey userHash',
      '',
      ({ latencySeconds }) => latencySeconds,
    ),
    registryOperation: recorder('registry_operation', 'operation resourceType success resourceId userHash'),
    healthCheck: recorder('health_check', 'endpoint healthy statusCode'),
    custom: (metricName, fields) => custom({ ...fields, metricName }),
    hashUser: (id) => hashUser(id, resolved.userHashSalt),
    flush: async ({ timeoutMs = FLUSH_TIMEOUT_MS } = {}) => sender?.flush(timeoutMs),
    shutdown: async ({ timeoutMs = FLUSH_TIMEOUT_MS } = {}) => sender?.shutdown(timeoutMs),
    stats: () => ({ ...stats, dropped: { ...stats.dropped } }),
  };
}
