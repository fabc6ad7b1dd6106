/** "MCP Gateway Health": whether everything that came in arrives, and what it takes. */
import type { Dashboard } from '@grafana/grafana-foundation-sdk/dashboard';
import { frame } from './frame.ts';
import { course, NONE_IS_GOOD, number, rows } from './panels.ts';
import { countOf, quantile } from './promql.ts';

const GATEWAY = 'mcp_gateway_';
const rise = (name: string, labels = '', window = '$__interval'): string =>
  `sum${labels === '' ? '' : ` by (${labels}) `}(${countOf(`${GATEWAY}${name}`, window)})`;
const FULL = [
  { value: null, color: 'green' },
  { value: 70, color: 'red' },
];

/** The fates of metrics: name of the counter, label that divides it. */
const FATES = [
  ['accepted', ''],
  ['rejected', 'reason'],
  ['dropped', 'stage'],
  ['refused', 'code'],
  ['replayed', ''],
] as const;

const overview = [
  number(
    'Journal',
    { description: 'Filled; at 100 % new metrics are refused.', span: 6, unit: 'percent', thresholds: FULL },
    [`100 * max(${GATEWAY}journal_bytes / ${GATEWAY}journal_max_bytes)`, 'filled'],
  ),
  number(
    'Unaccounted',
    {
      description: 'Metrics received less those accepted, rejected, dropped, refused, replayed or in flight. Always 0.',
      span: 6,
      thresholds: NONE_IS_GOOD,
    },
    [
      `abs(sum(${GATEWAY}metrics_received_total) - sum({__name__=~"${GATEWAY}metrics_(${FATES.map(([fate]) => fate).join('|')})_total"}) - sum(${GATEWAY}metrics_in_flight))`,
      'metrics',
    ],
  ),
  number(
    'Set aside or skipped',
    { description: 'Metrics that a sink did not take, within the range.', span: 6, thresholds: NONE_IS_GOOD },
    [`${rise('sink_set_aside_total', '', '$__range')} + ${rise('sink_skipped_total', '', '$__range')}`, 'metrics'],
  ),
  number('Series', { description: 'Series held; the limit is totals.maxSeries.', span: 6 }, [
    `sum(${GATEWAY}series)`,
    'series',
  ]),
] as const;

const intake = [
  course(
    'Fate of metrics',
    { description: 'Metrics per interval, by what became of them.', span: 12, draw: 'bars' },
    ...FATES.map(
      ([fate, label]) => [rise(`metrics_${fate}_total`, label), label === '' ? fate : `${fate} {{${label}}}`] as const,
    ),
  ),
  course(
    'Requests',
    { description: 'Requests per interval, by answer.', span: 12, draw: 'bars', colors: { ok: 'green' } },
    [rise('requests_total', 'code'), '{{code}}'],
  ),
  course(
    'Latency of ingest',
    {
      description: 'From the head of a request to its answer, and the group commit of the journal that is part of it.',
      span: 12,
      unit: 's',
      draw: 'lines',
    },
    ...[0.5, 0.95, 0.99].map((q) => [quantile(q, `${GATEWAY}request_duration_seconds_bucket`), `p${q * 100}`] as const),
    [quantile(0.99, `${GATEWAY}journal_commit_duration_seconds_bucket`), 'p99 of the commit'],
  ),
  course(
    'Rate limits',
    {
      description: 'Requests per interval beyond the limit of their key, by key and service, and without a valid key.',
      span: 12,
      draw: 'bars',
    },
    [rise('rate_limited_requests_total', 'service, key'), 'limited {{service}} {{key}}'],
    [rise('unauthenticated_requests_total', 'address_class'), 'unauthenticated {{address_class}}'],
  ),
] as const;

const sinks = [
  course('Queued', { description: 'Metrics that wait, by sink.', span: 8, draw: 'lines' }, [
    `sum by (sink) (${GATEWAY}sink_queued)`,
    '{{sink}}',
  ]),
  course('Queue age', { description: 'How long the oldest metric has waited.', span: 8, unit: 's', draw: 'lines' }, [
    `max by (sink) (${GATEWAY}sink_queue_age_seconds)`,
    '{{sink}}',
  ]),
  course('Write failures', { description: 'Failed writes per interval; each is tried again.', span: 8, draw: 'bars' }, [
    rise('sink_write_failures_total', 'sink'),
    'failed {{sink}}',
  ]),
  course('Write duration (p95)', { description: 'One write, by sink.', span: 12, unit: 's', draw: 'lines' }, [
    quantile(0.95, `${GATEWAY}sink_write_duration_seconds_bucket`, 'sink'),
    '{{sink}}',
  ]),
  rows(
    'Accounting of sinks',
    { description: 'accepted + recovered = delivered + queued + set aside + skipped', span: 12, height: 8 },
    ['sink'],
    (
      [
        ['accepted', 'accepted_total'],
        ['recovered', 'recovered'],
        ['delivered', 'delivered_total'],
        ['queued', 'queued'],
        ['set aside', 'set_aside_total'],
        ['skipped', 'skipped_total'],
      ] as const
    ).map(([name, part]) => ({ name, expr: `sum by (sink) (${GATEWAY}sink_${part})` })),
  ),
] as const;

const resources = [
  course(
    'Journal and database',
    { description: 'Bytes on disk.', span: 8, unit: 'bytes', draw: 'lines' },
    [`max(${GATEWAY}journal_bytes)`, 'journal'],
    [`max(${GATEWAY}database_bytes)`, 'database'],
  ),
  course('Event loop delay', { description: 'Of the thread that answers HTTP.', span: 8, unit: 's', draw: 'lines' }, [
    `max by (statistic) (${GATEWAY}event_loop_delay_seconds)`,
    '{{statistic}}',
  ]),
  course(
    'Memory',
    { description: 'Resident memory, and the heap of the HTTP thread.', span: 8, unit: 'bytes', draw: 'lines' },
    [`max(process_resident_memory_bytes and on (instance, job) ${GATEWAY}build_info)`, 'resident'],
    [`max(${GATEWAY}heap_used_bytes)`, 'heap'],
  ),
  course('CPU', { description: 'Cores in use, all threads.', span: 8, draw: 'lines' }, [
    `sum(rate(process_cpu_seconds_total[$__rate_interval]) and on (instance, job) ${GATEWAY}build_info)`,
    'cores',
  ]),
  course(
    'Scrape duration (p95)',
    { description: 'From the request of Prometheus to the last byte.', span: 8, unit: 's', draw: 'lines' },
    [quantile(0.95, `${GATEWAY}scrape_duration_seconds_bucket`), 'p95'],
  ),
  course(
    'Label overflow',
    { description: 'Events per interval whose label value counted as _other.', span: 8, draw: 'bars' },
    [rise('label_overflow_total', 'label'), '{{label}}'],
  ),
] as const;

export const health = (): Dashboard =>
  frame({
    uid: 'mcp-gateway-health',
    title: 'MCP Gateway Health',
    description: 'Whether everything that came in arrives, and what it takes. Alarms: deploy/prometheus/rules.',
    variables: [],
    rows: [
      ['Overview', ...overview],
      ['Intake', ...intake],
      ['Sinks', ...sinks],
      ['Resources', ...resources],
    ],
  });
