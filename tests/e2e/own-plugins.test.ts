/** A stage and a sink of a user's own, written against the package's public surface alone, run in a real gateway. */
import Database from 'better-sqlite3';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import type { DeliveredEvent } from '../../src/index.ts';
import { startGateway } from '../support/gateway.ts';
import { ROOT } from '../support/root.ts';
import { waitFor } from '../support/wait-for.ts';
import { folderOf } from '../support/folder.ts';

const SECRET = 'a-user-hash-that-must-not-be-kept';

t.test('own plugins see what flows, and what they redact is nowhere on disk', async (t) => {
  const dataDirectory = folderOf(t, { ndjson: {} });
  const file = join(dataDirectory, 'ndjson/events.ndjson');
  const gateway = await startGateway({
    dataDirectory,
    args: ['--config', join(ROOT, 'tests/own-plugins/pipeline.config.ts')],
    env: { NDJSON_PATH: file },
  });
  t.teardown(() => gateway.stop('SIGKILL'));
  const dimensions = { tool_name: 'search', success: true, user_hash: SECRET };
  const metric = { type: 'tool_execution', value: 1, duration_ms: 5, dimensions, metadata: { request_id: SECRET } };
  const answer = await gateway.post({ service: 'own', metrics: [metric, { ...metric, type: 'nonsense' }, metric] });
  t.match(await answer.json(), { status: 'partial', accepted: 2, rejected: 1 });

  const events = await waitFor('two events in the sink’s file', () => {
    if (!existsSync(file)) return undefined;
    const lines = readFileSync(file, 'utf8').trimEnd().split('\n');
    return lines.length === 2 && lines.map((line) => JSON.parse(line) as DeliveredEvent);
  });
  t.match(events, [
    {
      type: 'tool_execution',
      service: 'own',
      keyService: 'test',
      dimensions: { tool_name: 'search', user_hash: '***' },
    },
    { type: 'tool_execution', durationMs: 5, metadata: { request_id: '***' } },
  ]);
  t.not(events[0]?.id, events[1]?.id, 'each event has an id of its own');

  await gateway.flush();
  t.strictSame(await gateway.stop(), { code: 0, signal: null });
  const database = new Database(gateway.databasePath, { readonly: true });
  t.strictSame(database.prepare('SELECT user_hash FROM tool_metrics').pluck().all(), ['***', '***']);
  database.close();
  const files = readdirSync(dataDirectory, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile());
  t.ok(
    files.some(({ parentPath }) => parentPath.endsWith('journal')),
    'the journal was looked at too',
  );
  for (const { parentPath, name } of files) {
    t.notOk(readFileSync(join(parentPath, name)).includes(SECRET), `${name} does not have the redacted value`);
  }
});
