/** What each typed method takes. Names and units are the gateway's; what is left out is absent. */

export type DimensionValue = string | number | boolean;
export type Json = null | boolean | number | string | readonly Json[] | { readonly [key: string]: Json };

/** Common to all metrics. */
export interface CommonFields {
  /** When it happened, milliseconds since the Unix epoch. Default now. */
  readonly timestamp?: number | undefined;
  /** Further dimensions; at most 20 in all. */
  readonly dimensions?: Readonly<Record<string, DimensionValue | null | undefined>> | undefined;
  /** Kept in SQLite and never a label; at most 30 fields of 1,000 characters. */
  readonly metadata?: Readonly<Record<string, Json | undefined>> | undefined;
}

export interface AuthRequestFields extends CommonFields {
  readonly success: boolean;
  readonly durationMs?: number | undefined;
  /** How the caller proved who it is: `jwt`, `oauth`, `session` … */
  readonly method?: string | undefined;
  /** The MCP server that was asked for. */
  readonly server?: string | undefined;
  /** From `hashUser`. */
  readonly userHash?: string | undefined;
  readonly errorCode?: string | number | undefined;
}

export interface ToolExecutionFields extends CommonFields {
  readonly success: boolean;
  /** Of the tool itself. */
  readonly durationMs?: number | undefined;
  readonly toolName: string;
  /** The MCP method: `tools/call` by default. */
  readonly method?: string | undefined;
  readonly serverName?: string | undefined;
  readonly serverPath?: string | undefined;
  readonly clientName?: string | undefined;
  readonly clientVersion?: string | undefined;
  readonly userHash?: string | undefined;
  readonly errorCode?: string | number | undefined;
  readonly inputSizeBytes?: number | undefined;
  readonly outputSizeBytes?: number | undefined;
}

export interface ToolDiscoveryFields extends CommonFields {
  /** Free text: cut to the client's `maxTextLength`. */
  readonly query?: string | undefined;
  /** −1 where it is not known. */
  readonly resultsCount?: number | undefined;
  readonly durationMs?: number | undefined;
  readonly topKServices?: number | undefined;
  readonly topNTools?: number | undefined;
  readonly embeddingTimeMs?: number | undefined;
  readonly searchTimeMs?: number | undefined;
}

export interface ProtocolLatencyFields extends CommonFields {
  readonly flowStep: 'initialize_to_tools_list' | 'tools_list_to_tools_call' | 'full_protocol_flow' | (string & {});
  readonly latencySeconds: number;
  readonly serverName?: string | undefined;
  /** Opaque; never a session's own id, which may be a credential. */
  readonly sessionKey?: string | undefined;
  readonly userHash?: string | undefined;
}

export interface RegistryOperationFields extends CommonFields {
  /** `create`, `read`, `update`, `delete`, `list`, `search` … */
  readonly operation: string;
  readonly resourceType: string;
  readonly success: boolean;
  readonly durationMs?: number | undefined;
  readonly resourceId?: string | undefined;
  readonly userHash?: string | undefined;
  readonly errorCode?: string | number | undefined;
}

export interface HealthCheckFields extends CommonFields {
  readonly endpoint: string;
  readonly healthy: boolean;
  readonly statusCode?: number | undefined;
  readonly durationMs?: number | undefined;
}

export interface CustomFields extends CommonFields {
  /** What the counter adds. Default 1. */
  readonly value?: number | undefined;
  readonly durationMs?: number | undefined;
}
