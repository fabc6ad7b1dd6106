/** Every look-up that the views promise goes through an index (the gateway never runs ANALYZE, so plans do not change). */
import { join } from 'node:path';
import Database from 'better-sqlite3';
import t from 'tap';
import { openStore } from '../../../src/sinks/sqlite/store.ts';
import { memoryLog, recordedBodies, recorder } from './harness.ts';
import { folderOf } from '../../support/folder.ts';

/** View, condition, and the indexes of which the plan must name one for the events. */
const LOOKUPS: readonly (readonly [view: string, condition: string, index: RegExp])[] = [
  ['metrics', 'timestamp >= 5 AND timestamp < 9', /e USING INDEX events_by_time \(timestamp>\? AND timestamp<\?\)/],
  ['metrics', 'id > 5', /e USING INTEGER PRIMARY KEY \(rowid>\?\)/],
  ['auth_metrics', 'timestamp > 5', /e USING INDEX events_by_time \(timestamp>\?\)/],
  ['auth_metrics', 'success = 0', /e USING INDEX events_by_attribute_set \(attribute_set_id=\?\)/],
  ['auth_metrics', 'success = 0 AND timestamp > 5', /e USING INDEX events_by_(attribute_set|time) \(.*timestamp>\?\)/],
  ['auth_metrics', "user_hash = 'x'", /e USING INDEX auth_events_by_user \(user_hash=\?\)/],
  [
    'auth_metrics',
    "user_hash = 'x' AND timestamp > 5",
    /e USING INDEX auth_events_by_user \(user_hash=\? AND timestamp>\?\)/,
  ],
  ['tool_metrics', 'timestamp > 5', /e USING INDEX events_by_time \(timestamp>\?\)/],
  ['tool_metrics', "tool_name = 'x'", /e USING INDEX events_by_attribute_set \(attribute_set_id=\?\)/],
  ['tool_metrics', "client_name = 'x'", /e USING INDEX events_by_client \(client_id=\?\)/],
  ['tool_metrics', "method = 'x'", /e USING INDEX events_by_attribute_set \(attribute_set_id=\?\)/],
  ['tool_metrics', 'success = 0', /e USING INDEX events_by_attribute_set \(attribute_set_id=\?\)/],
  ['tool_metrics', "user_hash = 'x'", /e USING INDEX tool_events_by_user \(user_hash=\?\)/],
  ['discovery_metrics', 'timestamp > 5', /e USING INDEX (discovery_events_by_time|events_by_time) \(timestamp>\?\)/],
  ['discovery_metrics', 'results_count = 5', /e USING INDEX discovery_events_by_results \(number_1=\?\)/],
  ['protocol_metrics', 'timestamp > 5', /e USING INDEX events_by_time \(timestamp>\?\)/],
];

const path = join(folderOf(t), 'metrics.db');
const store = await openStore(path, { log: memoryLog() });
t.teardown(() => store.close());
const { record, end } = recorder();
await store.write(
  recordedBodies().map((body) => record(body)),
  end(),
);

await t.test('each look-up uses its index', async (t) => {
  const db = new Database(path);
  t.teardown(() => db.close());
  for (const [view, condition, index] of LOOKUPS) {
    const plan = db
      .prepare<[], { detail: string }>(`EXPLAIN QUERY PLAN SELECT * FROM ${view} WHERE ${condition}`)
      .all()
      .map(({ detail }) => detail);
    const uses = plan.some((step) => index.test(step));
    t.ok(uses, `${view} WHERE ${condition}`, { plan });
    const scans = plan.some((step) => /^SCAN [^k]/.test(step));
    t.notOk(scans, `${view} WHERE ${condition} scans no table`, { plan });
  }
});

await t.test('the newest rows of a view come by index, without sorting', async (t) => {
  const db = new Database(path);
  t.teardown(() => db.close());
  for (const view of ['metrics', 'auth_metrics', 'tool_metrics', 'protocol_metrics', 'discovery_metrics']) {
    const plan = db
      .prepare<[], { detail: string }>(`EXPLAIN QUERY PLAN SELECT * FROM ${view} ORDER BY timestamp DESC LIMIT 10`)
      .all()
      .map(({ detail }) => detail);
    t.notOk(
      plan.some((step) => step.includes('TEMP B-TREE')),
      view,
      { plan },
    );
  }
});

await t.test('what is not selected is not joined', async (t) => {
  const db = new Database(path);
  t.teardown(() => db.close());
  const plan = db
    .prepare<[], { detail: string }>('EXPLAIN QUERY PLAN SELECT count(*) FROM metrics WHERE timestamp > 5')
    .all()
    .map(({ detail }) => detail);
  t.strictSame(plan, ['SEARCH e USING COVERING INDEX events_by_time (timestamp>?)']);
});
