/** docs/database-schema.md and docs/data-retention.md: the SQL in them runs, and no table or column is missing. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import Database from 'better-sqlite3';
import t from 'tap';
import type { JsonMetric } from '../../../src/core/json-events.ts';
import { openStore } from '../../../src/sinks/sqlite/store.ts';
import { memoryLog, recordedBodies, recorder } from './harness.ts';
import { folderOf } from '../../support/folder.ts';

const read = (name: string): string =>
  readFileSync(fileURLToPath(new URL(`../../../docs/${name}`, import.meta.url)), 'utf8');
const sqlOf = (page: string): string[] => [...page.matchAll(/```sql\n([\s\S]*?)```/g)].map(([, sql]) => sql!);
const schema = read('database-schema.md');

const path = join(folderOf(t), 'metrics.db');
const store = await openStore(path, { log: memoryLog() });
const { record, end } = recorder();
const now = Date.now();
await store.write(
  recordedBodies().map((body) =>
    record({
      ...body,
      metrics: (body.metrics as JsonMetric[]).map((metric, at) => ({
        ...metric,
        timestamp: new Date(now - 1000 - at).toISOString(),
      })),
    }),
  ),
  end(),
);
await store.close();
const db = new Database(path);
t.teardown(() => db.close());

t.test('each example answers with rows', async (t) => {
  const examples = sqlOf(schema);
  t.ok(examples.length >= 7);
  for (const sql of examples) t.ok(db.prepare(sql).all().length > 0, sql.trim().split('\n')[0]!);
});

t.test('the percentile of the example is that of the answers', async (t) => {
  const sql = sqlOf(schema).find((each) => each.includes('p95_ms'))!;
  const rows = db.prepare<[], { tool_name: string; p95_ms: number }>(sql).all();
  const exact = (tool: string): number => {
    const durations = db
      .prepare<[string], number>('SELECT duration_ms FROM tool_metrics WHERE tool_name = ? ORDER BY duration_ms')
      .pluck()
      .all(tool);
    return durations[Math.ceil(0.95 * durations.length) - 1]!;
  };
  for (const { tool_name: tool, p95_ms: p95 } of rows) {
    // One more permille for the rounding to a tenth of a millisecond.
    t.ok(Math.abs(p95 / exact(tool) - 1) < 0.1, `${tool}: ${p95} against ${exact(tool)}`);
  }
});

/** What the page says of a table: the sections that name it in their heading, and its own row in other tables. */
function about(name: string): string {
  const sections = schema.split(/^(?=#{2,3} )/m);
  const own = sections.filter((section) => section.slice(0, section.indexOf('\n')).includes(`\`${name}\``));
  const rows = schema.split('\n').filter((line) => line.startsWith(`| \`${name}\` `));
  return [...own, ...rows].join('\n');
}
const TYPED_VIEWS = ['auth_metrics', 'tool_metrics', 'discovery_metrics', 'protocol_metrics'];

t.test('every table, view and column is described, each in its own place', async (t) => {
  const names = db
    .prepare<[], string>(
      "SELECT name FROM sqlite_schema WHERE type IN ('table', 'view') AND name NOT LIKE 'sqlite_%' ORDER BY name",
    )
    .pluck()
    .all();
  for (const name of names) {
    // Views by type have the columns of `metrics` as well, the page says.
    const text = about(name) + (TYPED_VIEWS.includes(name) ? about('metrics') : '');
    t.not(text, '', name);
    const columns = db.prepare<[], { name: string }>(`PRAGMA table_info(${name})`).all();
    const missing = columns.map((column) => column.name).filter((column) => !text.includes(`\`${column}\``));
    t.strictSame(missing, [], `columns of ${name}`);
  }
});

t.test('removing one person’s data leaves the counts right', async (t) => {
  const [sql] = sqlOf(read('data-retention.md'));
  db.exec(sql!.replaceAll('0123456789ab', '2b8b66f64b60'));
  t.strictSame(
    db.prepare("SELECT count(*) AS n FROM metrics WHERE dimensions ->> 'user_hash' = '2b8b66f64b60'").get(),
    { n: 0 },
  );
  t.strictSame(db.prepare('SELECT (SELECT sum(count) FROM event_counts) - (SELECT count(*) FROM events) AS n').get(), {
    n: 0,
  });
});
