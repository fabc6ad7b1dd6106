/** "MCP Analytics Comprehensive": what clients, servers and tools do, from what services reported. */
import type { Dashboard } from '@grafana/grafana-foundation-sdk/dashboard';
import { frame, valuesOf } from './frame.ts';
import { course, number, ranking, rows, shares, SUCCESS } from './panels.ts';
import { countOf, percentage, quantile, select, sumBy, type Service } from './promql.ts';

const AUTH = 'mcp_auth_requests_total';
const TOOLS = 'mcp_tool_executions_total';
const TOOL_SECONDS = 'mcp_tool_execution_duration_seconds_bucket';
const CALLS = 'method="tools/call"';

const total = (metric: Service, more = '', labels = ''): string => sumBy(labels, countOf(select(metric, more)));
const perInterval = (metric: Service, labels: string, more = ''): string =>
  sumBy(labels, countOf(select(metric, more), '$__interval'));
const top = (vector: string): string => `topk(10, ${vector} > 0)`;
const quantiles = (buckets: string, labels = '', suffix = ''): (readonly [string, string])[] =>
  [0.5, 0.95, 0.99].map((q) => [quantile(q, buckets, labels), `p${q * 100}${suffix}`] as const);

const overview = [
  number(
    'Authentication success',
    {
      description: 'Share of authentications that succeeded, over the chosen range.',
      span: 6,
      unit: 'percent',
      thresholds: SUCCESS,
    },
    [percentage(AUTH, 'success="true"'), 'success'],
  ),
  number(
    'Tool call success',
    {
      description: 'Share of tools/call that succeeded, over the chosen range.',
      span: 6,
      unit: 'percent',
      thresholds: SUCCESS,
    },
    [percentage(TOOLS, 'success="true"', '', CALLS), 'success'],
  ),
  number('Sessions', { description: 'initialize requests within the range.', span: 4 }, [
    total(TOOLS, 'method="initialize"'),
    'initialize',
  ]),
  number('Tool calls', { description: 'tools/call requests within the range.', span: 4 }, [
    total(TOOLS, CALLS),
    'tools/call',
  ]),
  number('Failed tool calls', { description: 'tools/call requests that failed within the range.', span: 4 }, [
    `${total(TOOLS, `${CALLS},success="false"`)} or ${total(TOOLS, CALLS)} * 0`,
    'failed',
  ]),
] as const;

const activity = [
  course(
    'Protocol activity',
    { description: 'Requests per interval by method: initialize, tools/list, tools/call …', span: 16, draw: 'bars' },
    [perInterval(TOOLS, 'method'), '{{method}}'],
  ),
  shares('Clients', { description: 'Requests by client, over the chosen range.', span: 8 }, [
    total(TOOLS, 'client_name!=""', 'client_name'),
    '{{client_name}}',
  ]),
  course(
    'Protocol flow latency (p95)',
    { description: 'From one step of a session to the next, per step.', span: 16, unit: 's', draw: 'lines' },
    [quantile(0.95, select('mcp_protocol_latency_seconds_bucket'), 'flow_step'), '{{flow_step}}'],
  ),
  ranking('Initializations by client', { description: 'Sessions begun, over the chosen range.', span: 8 }, [
    top(total(TOOLS, 'method="initialize"', 'client_name')),
    '{{client_name}}',
  ]),
] as const;

const authentication = [
  course(
    'Authentication flow',
    {
      description: 'Authentications per interval, by outcome.',
      span: 10,
      draw: 'bars',
      colors: { succeeded: 'green', failed: 'red' },
    },
    [perInterval(AUTH, '', 'success="true"'), 'succeeded'],
    [perInterval(AUTH, '', 'success="false"'), 'failed'],
  ),
  course(
    'Authentication latency',
    { description: 'How long authentications take.', span: 8, unit: 's', draw: 'lines' },
    ...quantiles(select('mcp_auth_request_duration_seconds_bucket')),
  ),
  shares('Authentication methods', { description: 'Authentications by method, over the chosen range.', span: 6 }, [
    total(AUTH, '', 'method'),
    '{{method}}',
  ]),
] as const;

const tools = [
  course(
    'Tool execution latency',
    { description: 'tools/call of the chosen servers and clients.', span: 12, unit: 's', draw: 'lines' },
    ...quantiles(select(TOOL_SECONDS, CALLS)),
  ),
  ranking('Top tools', { description: 'tools/call by tool, over the chosen range.', span: 6 }, [
    top(total(TOOLS, CALLS, 'tool_name')),
    '{{tool_name}}',
  ]),
  ranking('Top servers', { description: 'Requests by server, over the chosen range.', span: 6 }, [
    top(total(TOOLS, '', 'server_name')),
    '{{server_name}}',
  ]),
  rows(
    'Tools',
    { description: 'tools/call over the chosen range.', span: 24, height: 10 },
    ['server_name', 'tool_name'],
    [
      { name: 'calls', expr: total(TOOLS, CALLS, 'server_name, tool_name') },
      {
        name: 'success',
        expr: percentage(TOOLS, 'success="true"', 'server_name, tool_name', CALLS),
        unit: 'percent',
        thresholds: SUCCESS,
      },
      ...[0.5, 0.95, 0.99].map((q) => ({
        name: `p${q * 100}`,
        expr: quantile(q, select(TOOL_SECONDS, CALLS), 'server_name, tool_name', '$__range'),
        unit: 's',
      })),
    ],
  ),
  rows(
    'Servers',
    { description: 'All requests over the chosen range.', span: 24, height: 7 },
    ['server_name'],
    [
      { name: 'requests', expr: total(TOOLS, '', 'server_name') },
      { name: 'sessions', expr: total(TOOLS, 'method="initialize"', 'server_name') },
      { name: 'calls', expr: total(TOOLS, CALLS, 'server_name') },
      {
        name: 'success',
        expr: percentage(TOOLS, 'success="true"', 'server_name'),
        unit: 'percent',
        thresholds: SUCCESS,
      },
      { name: 'p95', expr: quantile(0.95, select(TOOL_SECONDS), 'server_name', '$__range'), unit: 's' },
    ],
  ),
] as const;

const errors = [
  course(
    'Failures',
    { description: 'Failed requests per interval, by method.', span: 8, draw: 'bars' },
    [perInterval(TOOLS, 'method', 'success="false"'), '{{method}}'],
    [perInterval(AUTH, '', 'success="false"'), 'authentication'],
  ),
  shares('Error codes of tools', { description: 'Failed requests by code, over the chosen range.', span: 8 }, [
    total(TOOLS, 'error_code!=""', 'error_code'),
    '{{error_code}}',
  ]),
  shares(
    'Error codes of authentication',
    { description: 'Failed authentications by code, over the chosen range.', span: 8 },
    [total(AUTH, 'error_code!=""', 'error_code'), '{{error_code}}'],
  ),
  ranking('Failing tools', { description: 'Failed tools/call by tool, over the chosen range.', span: 24 }, [
    top(total(TOOLS, `${CALLS},success="false"`, 'server_name, tool_name')),
    '{{server_name}} {{tool_name}}',
  ]),
] as const;

const registry = [
  course(
    'Discovery latency',
    { description: 'Tool discovery: searches for a fitting tool.', span: 8, unit: 's', draw: 'lines' },
    ...quantiles(select('mcp_tool_discovery_duration_seconds_bucket')),
  ),
  course('Discoveries', { description: 'Searches per interval, by service.', span: 4, draw: 'bars' }, [
    perInterval('mcp_tool_discovery_total', 'service'),
    '{{service}}',
  ]),
  course('Registry operations', { description: 'Per interval, by kind.', span: 6, draw: 'bars' }, [
    perInterval('mcp_registry_operations_total', 'operation, resource_type'),
    '{{operation}} {{resource_type}}',
  ]),
  course('Registry latency (p95)', { description: 'Per kind of operation.', span: 6, unit: 's', draw: 'lines' }, [
    quantile(0.95, select('mcp_registry_operation_duration_seconds_bucket'), 'operation'),
    '{{operation}}',
  ]),
  number(
    'Registry success',
    {
      description: 'Share of registry operations that succeeded, over the chosen range.',
      span: 12,
      unit: 'percent',
      thresholds: SUCCESS,
    },
    [percentage('mcp_registry_operations_total', 'success="true"'), 'success'],
  ),
  number(
    'Health checks passed',
    {
      description: 'Share of health checks that found their server healthy, over the chosen range.',
      span: 12,
      unit: 'percent',
      thresholds: SUCCESS,
    },
    [percentage('mcp_health_checks_total', 'healthy="true"'), 'healthy'],
  ),
  ranking('Custom metrics', { description: 'Sums of the values sent, by name, over the chosen range.', span: 24 }, [
    top(total('mcp_custom_total', '', 'metric_name')),
    '{{metric_name}}',
  ]),
] as const;

const ANY = '__name__=~"mcp_.+_total|mcp_protocol_latency_seconds_count",__name__!~"mcp_gateway_.+"';

export const analytics = (): Dashboard =>
  frame({
    uid: 'mcp-analytics-comprehensive',
    title: 'MCP Analytics Comprehensive',
    description: 'What MCP clients, servers and tools do, as services reported it. Numbers are over the chosen range.',
    variables: [
      valuesOf('service', 'Service', `label_values({${ANY}}, service)`),
      // Authentications name it `server`, all else `server_name`.
      valuesOf(
        'server',
        'Server',
        `query_result(group by (server) (${AUTH}{server!=""}) or group by (server) (label_replace({server_name!="",${ANY}}, "server", "$1", "server_name", "(.+)")))`,
      ).regex('/server="([^"]+)"/'),
      valuesOf('method', 'Method', `label_values(${TOOLS}, method)`),
      valuesOf('auth_method', 'Auth method', `label_values(${AUTH}, method)`),
      valuesOf('client', 'Client', `label_values(${TOOLS}, client_name)`),
    ],
    rows: [
      ['Overview', ...overview],
      ['Protocol', ...activity],
      ['Authentication', ...authentication],
      ['Tools and servers', ...tools],
      ['Errors', ...errors],
      ['Discovery, registry, custom', ...registry],
    ],
  });
