/** PromQL of the dashboards: selectors that obey every variable a metric has a label for, and counts that are whole. */

export type Service =
  | 'mcp_auth_requests_total'
  | 'mcp_auth_request_duration_seconds_bucket'
  | 'mcp_tool_executions_total'
  | 'mcp_tool_execution_duration_seconds_bucket'
  | 'mcp_protocol_latency_seconds_bucket'
  | 'mcp_protocol_latency_seconds_count'
  | 'mcp_tool_discovery_total'
  | 'mcp_tool_discovery_duration_seconds_bucket'
  | 'mcp_registry_operations_total'
  | 'mcp_registry_operation_duration_seconds_bucket'
  | 'mcp_health_checks_total'
  | 'mcp_custom_total';

/** The label that a dashboard variable filters, by metric. `method` of an authentication is not that of a tool. */
const VARIABLES: readonly (readonly [prefix: string, labels: Readonly<Record<string, string>>])[] = [
  ['mcp_auth_', { server: '$server', method: '$auth_method' }],
  ['mcp_tool_execution', { server_name: '$server', method: '$method', client_name: '$client' }],
  ['mcp_protocol_', { server_name: '$server' }],
];

/** `metric{service=~"$service",…,more}`: every variable that the metric has a label for, then `more`. */
export function select(metric: Service, more = ''): string {
  const labels = VARIABLES.find(([prefix]) => metric.startsWith(prefix))?.[1] ?? {};
  const matchers = Object.entries({ service: '$service', ...labels }).map(([label, value]) => `${label}=~"${value}"`);
  return `${metric}{${[...matchers, ...(more === '' ? [] : [more])].join(',')}}`;
}

/**
 * By how much a counter rose within `window`, the first sample of each series included, which `increase()` and `rate()`
 * leave out. What was last seen within an hour before the window counts as its start: a short outage does not count
 * everything anew. The totals survive the gateway's restarts; what does not (its own counters, a series that was evicted)
 * is lower than before, and counts from where it began anew.
 */
export const countOf = (selector: string, window = '$__range'): string =>
  `(${selector} - (last_over_time(${selector}[1h] offset ${window}) <= ${selector} or ${selector} * 0))`;

/** `sum by (labels) (…)`; without labels the sum of all. */
export const sumBy = (labels: string, vector: string): string =>
  labels === '' ? `sum(${vector})` : `sum by (${labels}) (${vector})`;

/** A quantile of a histogram's buckets over a window, by labels. */
export const quantile = (q: number, buckets: string, labels = '', window = '5m'): string =>
  `histogram_quantile(${q}, ${sumBy(labels === '' ? 'le' : `${labels}, le`, countOf(buckets, window))})`;

/** A share in percent, over the chosen range: `part` of what the metric counts. */
export const percentage = (metric: Service, part: string, labels = '', more = '', window = '$__range'): string => {
  const both = more === '' ? part : `${more},${part}`;
  const whole = sumBy(labels, countOf(select(metric, more), window));
  return `100 * (${sumBy(labels, countOf(select(metric, both), window))} or ${whole} * 0) / (${whole} > 0)`;
};
