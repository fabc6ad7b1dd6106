/** The recorded traffic in the database: every metric once, in the views users know, with its attributes as sent. */
import { join } from 'node:path';
import t from 'tap';
import { openStore } from '../../../src/sinks/sqlite/store.ts';
import { memoryLog, query, recordedBodies, recorder } from './harness.ts';
import { folderOf } from '../../support/folder.ts';

const path = join(folderOf(t), 'data', 'metrics.db');
const bodies = recordedBodies();
const store = await openStore(path, { log: memoryLog() });
t.teardown(() => store.close());
const { record, end } = recorder();
await store.write(
  bodies.map((body) => record(body)),
  end(),
);

t.test('each view holds the metrics of its type', async (t) => {
  const count = (view: string): unknown => query(path, `SELECT count(*) AS n FROM ${view}`)[0]?.['n'];
  t.equal(count('metrics'), 3580);
  t.equal(count('auth_metrics'), 929);
  t.equal(count('tool_metrics'), 929);
  t.equal(count('protocol_metrics'), 1722);
  t.equal(count('discovery_metrics'), 0);
  t.strictSame(query(path, 'SELECT type, count FROM event_counts WHERE count > 0'), [
    { type: 1, count: 929 },
    { type: 2, count: 929 },
    { type: 4, count: 1722 },
  ]);
});

t.test('the checkpoint is the batch’s', async (t) => {
  t.strictSame(await store.checkpoint(), end());
});

t.test('dimensions, metadata, values and times come back as sent', async (t) => {
  const rows = query(path, 'SELECT * FROM metrics ORDER BY id').map((row) => ({
    ...row,
    dimensions: JSON.parse(row['dimensions'] as string) as unknown,
    metadata: JSON.parse(row['metadata'] as string) as unknown,
  }));
  let id = 0;
  const expected = bodies.flatMap((body, index) =>
    (body.metrics as Record<string, unknown>[]).map((sent) => {
      id += 1;
      const time = `${String(sent['timestamp']).slice(0, 23)}Z`;
      return {
        id,
        request_id: `req_${(index + 1).toString(16).padStart(32, '0')}`,
        service: 'auth-server',
        service_version: '1.0.0',
        instance_id: null,
        key_service: 'auth-server',
        metric_type: sent['type'],
        timestamp: Date.parse(time),
        time,
        value: sent['value'],
        duration_ms: sent['duration_ms'] ?? null,
        dimensions: sent['dimensions'],
        metadata: sent['metadata'],
        created_at: '2026-11-22T08:20:00.000Z',
      };
    }),
  );
  t.strictSame(rows, expected);
});

t.test('typed columns read the dimension of their name, else the metadata field', async (t) => {
  const sent = bodies.flatMap((body) => body.metrics) as {
    type: string;
    dimensions: Record<string, unknown>;
    metadata: Record<string, unknown>;
  }[];
  const check = (view: string, type: string, columns: readonly string[]): void => {
    const rows = query(path, `SELECT ${columns.join(', ')} FROM ${view} ORDER BY id`);
    const expected = sent
      .filter((metric) => metric.type === type)
      .map(({ dimensions, metadata }) =>
        Object.fromEntries(
          columns.map((column) => {
            const value = dimensions[column] ?? metadata[column] ?? null;
            return [column, typeof value === 'boolean' ? Number(value) : value];
          }),
        ),
      );
    t.strictSame(rows, expected, view);
  };
  check('auth_metrics', 'auth_request', ['success', 'method', 'server', 'user_hash', 'error_code']);
  check('tool_metrics', 'tool_execution', [
    'tool_name',
    'server_name',
    'server_path',
    'method',
    'client_name',
    'client_version',
    'success',
    'error_code',
    'input_size_bytes',
    'output_size_bytes',
    'user_hash',
  ]);
  check('protocol_metrics', 'protocol_latency', ['flow_step', 'server_name', 'session_key', 'user_hash']);
});

t.test('rollups hold every metric once', async (t) => {
  for (const view of ['metrics_hourly', 'metrics_daily']) {
    t.strictSame(
      query(path, `SELECT metric_type, sum(count) AS n FROM ${view} GROUP BY 1 ORDER BY 1`),
      [
        { metric_type: 'auth_request', n: 929 },
        { metric_type: 'protocol_latency', n: 1722 },
        { metric_type: 'tool_execution', n: 929 },
      ],
      view,
    );
  }
});
