/**
 * The metrics of the OpenTelemetry semantic conventions for MCP (status: development), on a meter provider of the user's.
 * https://github.com/open-telemetry/semantic-conventions-genai/blob/main/docs/gen-ai/mcp.md
 */

export type Attributes = Record<string, string | number>;

interface HistogramLike {
  readonly record: (value: number, attributes?: Attributes) => void;
}

/** `MeterProvider` of `@opentelemetry/api`, as far as it is used here. */
export interface MeterProviderLike {
  readonly getMeter: (
    name: string,
    version?: string,
  ) => {
    readonly createHistogram: (
      name: string,
      options?: { description?: string; unit?: string; advice?: { explicitBucketBoundaries?: number[] } },
    ) => HistogramLike;
  };
}

export interface McpInstruments {
  /** `mcp.server.operation.duration` for what was received, `mcp.client.operation.duration` for what was sent; seconds. */
  readonly operation: (side: 'server' | 'client', seconds: number, attributes: Attributes) => void;
  /** `mcp.server.session.duration`, `mcp.client.session.duration`; seconds. */
  readonly session: (side: 'server' | 'client', seconds: number, attributes: Attributes) => void;
}

const BOUNDARIES = [0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30, 60, 120, 300];

/** Made once per provider: a server may be made anew for each request. */
const made = new WeakMap<MeterProviderLike, McpInstruments>();

export function instrumentsOf(provider: MeterProviderLike): McpInstruments {
  const instruments = made.get(provider) ?? createInstruments(provider);
  made.set(provider, instruments);
  return instruments;
}

function createInstruments(provider: MeterProviderLike): McpInstruments {
  const meter = provider.getMeter('mcp-metrics-client');
  const histogram = (name: string, description: string): HistogramLike =>
    meter.createHistogram(name, { description, unit: 's', advice: { explicitBucketBoundaries: [...BOUNDARIES] } });
  const of = (name: string, server: string, client: string): Record<'server' | 'client', HistogramLike> => ({
    server: histogram(`mcp.server.${name}.duration`, server),
    client: histogram(`mcp.client.${name}.duration`, client),
  });
  const operations = of(
    'operation',
    'MCP request or notification duration as observed on the receiver from the time it was received until the result or ack is sent.',
    'The duration of the MCP request or notification as observed on the sender from the time it was sent until the response or ack is received.',
  );
  const sessions = of(
    'session',
    'The duration of the MCP session as observed on the MCP server.',
    'The duration of the MCP session as observed on the MCP client.',
  );
  return {
    operation: (side, seconds, attributes) => operations[side].record(seconds, attributes),
    session: (side, seconds, attributes) => sessions[side].record(seconds, attributes),
  };
}
