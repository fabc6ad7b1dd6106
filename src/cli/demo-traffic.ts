/** MCP traffic as a small company makes it: a few servers and clients, sessions from initialize to tool calls, some failures. */
import type { Json } from '../core/metric.ts';

export interface DemoMetric {
  readonly type: string;
  readonly value: number;
  readonly duration_ms?: number;
  readonly timestamp: string;
  readonly dimensions: Readonly<Record<string, Json>>;
  readonly metadata: Readonly<Record<string, Json>>;
}

/** Tools by server, each with its usual duration in milliseconds. */
const SERVERS: Readonly<Record<string, Readonly<Record<string, number>>>> = {
  github: { create_issue: 320, search_code: 540, list_pull_requests: 210 },
  currenttime: { current_time_by_timezone: 12 },
  fininfo: { get_stock_aggregates: 410, print_stock_data: 150 },
  atlassian: { search_issues: 380, add_comment: 260 },
  docs: { search_docs: 90, read_page: 45 },
};
const CLIENTS: readonly (readonly [name: string, version: string])[] = [
  ['Claude Code', '2.1.4'],
  ['Visual Studio Code', '1.105.0'],
  ['mcp-inspector', '0.17.2'],
  ['langgraph-agent', '0.6.7'],
];
const AUTH_METHODS = ['jwt', 'jwt', 'jwt', 'oauth', 'oauth', 'noauth'] as const;
const QUERIES = ['current time in tokyo', 'stock price', 'open an issue', 'find documentation', 'search code'] as const;
const ERRORS = ['401', '403', '-32602', 'timeout'] as const;

/** @param random from 0 to below 1; a seeded one gives the same traffic again */
export function demoTraffic(random: () => number = Math.random): (at: number) => DemoMetric[] {
  const pick = <Item>(items: readonly Item[]): Item => items[Math.floor(random() * items.length)]!;
  /** Long tails, as latencies have: about 5 % are three times as slow. */
  const around = (usual: number): number =>
    Math.round(usual * (0.6 + random() * 0.8) * (random() < 0.05 ? 3 : 1) * 1000) / 1000;
  const hash = (): string =>
    Math.floor(random() * 40)
      .toString(16)
      .padStart(12, 'a');

  return (at) => {
    const timestamp = new Date(at).toISOString();
    const metrics: DemoMetric[] = [];
    const add = (
      type: string,
      dimensions: Record<string, Json>,
      durationMs?: number,
      metadata: Record<string, Json> = {},
      value = 1,
    ): void => {
      metrics.push({
        type,
        value,
        timestamp,
        dimensions,
        metadata,
        ...(durationMs === undefined ? undefined : { duration_ms: durationMs }),
      });
    };
    const server = pick(Object.keys(SERVERS));
    const [client_name, client_version] = pick(CLIENTS);
    const user_hash = hash();
    const session_key = `${server}:${user_hash}`;
    const authorized = random() > 0.03;
    add(
      'auth_request',
      { success: authorized, method: pick(AUTH_METHODS), server, user_hash },
      around(18),
      authorized ? {} : { error_code: pick(['401', '403']) },
    );
    if (!authorized) return metrics;

    const call = (method: string, tool_name: string, usual: number): void => {
      const success = random() > 0.04;
      add(
        'tool_execution',
        {
          tool_name,
          server_name: server,
          server_path: `/${server}/`,
          success,
          method,
          client_name,
          client_version,
          user_hash,
        },
        around(usual),
        {
          error_code: success ? null : pick(ERRORS),
          input_size_bytes: Math.floor(random() * 400),
          output_size_bytes: Math.floor(random() * 20_000),
        },
      );
    };
    const flow = (flow_step: string, seconds: number): void =>
      add(
        'protocol_latency',
        { flow_step, server_name: server, session_key, user_hash },
        undefined,
        {},
        Math.round(seconds * 1e6) / 1e6,
      );
    call('initialize', 'initialize', 25);
    call('tools/list', 'tools/list', 35);
    flow('initialize_to_tools_list', 0.05 + random() * 0.2);
    for (let calls = 1 + Math.floor(random() * 4); calls > 0; calls -= 1) {
      const tool = pick(Object.keys(SERVERS[server]!));
      call('tools/call', tool, SERVERS[server]![tool]!);
    }
    flow('tools_list_to_tools_call', 0.5 + random() * 5);
    flow('full_protocol_flow', 0.7 + random() * 6);
    if (random() < 0.4) {
      const query = pick(QUERIES);
      add(
        'tool_discovery',
        { query, results_count: Math.floor(random() * 12), top_k_services: 3, top_n_tools: 5 },
        around(60),
        {
          embedding_time_ms: around(30),
          faiss_search_time_ms: around(3),
        },
      );
    }
    if (random() < 0.2)
      add(
        'registry_operation',
        {
          operation: pick(['read', 'list', 'update']),
          resource_type: pick(['server', 'group']),
          success: random() > 0.02,
        },
        around(15),
      );
    if (random() < 0.3)
      add(
        'health_check',
        { endpoint: `/${server}/health`, status_code: random() > 0.05 ? 200 : 503, healthy: random() > 0.05 },
        around(8),
      );
    return metrics;
  };
}
