/** Keys: made once, kept as hashes, found in memory, changed by other processes too. */
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import Database from 'better-sqlite3';
import t, { type Test } from 'tap';
import type { KeyStore } from '../../../src/core/key-store.ts';
import { openKeyStore } from '../../../src/sinks/sqlite/key-store.ts';
import { eventually, memoryLog, query, settableClock } from './harness.ts';
import { folderOf } from '../../support/folder.ts';

const START = Date.UTC(2026, 10, 22);
const sha256 = (secret: string): string => createHash('sha256').update(secret).digest('hex');

const open = async (t: Test, path = join(folderOf(t), 'metrics.db')) => {
  const log = memoryLog();
  const clock = settableClock(START);
  const keys = await openKeyStore({ path, log, clock, usageFlushIntervalMs: 50 });
  t.teardown(() => keys.close());
  return { keys, log, clock, path };
};

t.test('a new key is shown once and kept only as its hash', async (t) => {
  const { keys, path, log } = await open(t);
  const { record, secret } = await keys.create({ service: 'auth-server', scopes: ['ingest'] });
  t.match(secret, /^mcp_metrics_[A-Za-z0-9_-]{43}$/);
  t.match(record, { id: /^key_[0-9a-f]{16}$/, service: 'auth-server', scopes: ['ingest'], origin: 'created' });
  t.strictSame(keys.find(sha256(secret)), record);
  t.equal(keys.find(sha256(`${secret}x`)), undefined);
  t.notOk(JSON.stringify([await keys.list(), log.lines]).includes(secret));
  await keys.close();
  t.notOk(readFileSync(path).includes(secret), 'the file does not hold the secret');

  const again = await open(t, path);
  t.strictSame(again.keys.find(sha256(secret)), record, 'the key works after a restart');
});

t.test('update changes scopes and limits at once', async (t) => {
  const { keys } = await open(t);
  const { record, secret } = await keys.create({ service: 'a', scopes: ['ingest'] });
  await keys.update(record.id, { scopes: ['ingest', 'read'], limits: { requestsPerMinute: 5 }, description: 'd' });
  t.match(keys.find(sha256(secret)), {
    scopes: ['ingest', 'read'],
    limits: { requestsPerMinute: 5 },
    description: 'd',
  });
  t.equal(await keys.update('key_0000000000000000', {}), undefined);
});

t.test('a rotated key works until its overlap ends', async (t) => {
  const { keys, clock } = await open(t);
  const { record, secret } = await keys.create({ service: 'a', scopes: ['admin'], limits: { requestsPerMinute: 7 } });
  const next = await keys.rotate(record.id, 60_000);
  t.match(next?.record, { service: 'a', scopes: ['admin'], limits: { requestsPerMinute: 7 } });
  t.not(next?.record.id, record.id);
  t.ok(keys.find(sha256(secret)));
  t.ok(keys.find(sha256(next!.secret)));
  t.equal(keys.size(), 2);
  clock.set(START + 60_000);
  t.equal(keys.find(sha256(secret)), undefined);
  t.ok(keys.find(sha256(next!.secret)));
  t.equal(keys.size(), 1);
  t.equal(await keys.rotate('key_0000000000000000', 0), undefined);
});

t.test('a revoked key stops working at once and stays listed', async (t) => {
  const { keys } = await open(t);
  const { record, secret } = await keys.create({ service: 'a', scopes: ['ingest'] });
  t.match(await keys.revoke(record.id), { id: record.id, revokedAt: START });
  t.equal(keys.find(sha256(secret)), undefined);
  t.match(await keys.list(), [{ id: record.id, revokedAt: START }]);
  t.equal(await keys.revoke('key_0000000000000000'), undefined);
});

t.test('the environment’s keys are those it names now', async (t) => {
  const { keys, log } = await open(t);
  await keys.syncEnvironment([
    { service: 'one', secret: 'first' },
    { service: 'two', secret: 'second' },
  ]);
  t.match(keys.find(sha256('first')), { service: 'one', origin: 'environment', scopes: ['ingest'] });
  const { id } = keys.find(sha256('first'))!;

  await keys.syncEnvironment([{ service: 'two', secret: 'changed' }]);
  t.equal(keys.find(sha256('first')), undefined, 'its variable went');
  t.equal(keys.find(sha256('second')), undefined, 'its variable changed');
  t.match(keys.find(sha256('changed')), { service: 'two' });

  await keys.syncEnvironment([{ service: 'uno', secret: 'first' }]);
  t.match(keys.find(sha256('first')), { id, service: 'uno' }, 'the same key, back under another name');

  await keys.revoke(id);
  await keys.syncEnvironment([{ service: 'uno', secret: 'first' }]);
  t.equal(keys.find(sha256('first')), undefined, 'what an operator revoked stays so');
  t.match(
    log.lines.filter(({ level }) => level === 'warn'),
    [{ level: 'warn', fields: { service: 'uno' } }],
  );

  const made = await keys.create({ service: 'a', scopes: ['admin'] });
  await keys.syncEnvironment([]);
  t.ok(keys.find(sha256(made.secret)), 'an operator’s key is none of its business');
});

t.test('a key changed by another process works here within a second', async (t) => {
  const { keys, path } = await open(t);
  const { record, secret } = await keys.create({ service: 'a', scopes: ['ingest'] });
  const other = new Database(path);
  t.teardown(() => other.close());
  const within = async (check: (keys: KeyStore) => boolean, what: string): Promise<void> => {
    const from = performance.now();
    await eventually(() => check(keys), what);
    const took = performance.now() - from;
    t.ok(took < 1000, `${what}: ${took} ms`);
  };
  other.prepare('UPDATE api_keys SET revoked_at = 1 WHERE id = ?').run(record.id);
  await within((k) => k.find(sha256(secret)) === undefined, 'the revocation');
  other
    .prepare(
      "INSERT INTO api_keys (id, sha256, service, description, scopes, origin, created_at) VALUES ('key_x', ?, 's', '', '[\"read\"]', 'created', 1)",
    )
    .run(sha256('elsewhere'));
  await within((k) => k.find(sha256('elsewhere')) !== undefined, 'the new key');
  other.prepare("DELETE FROM api_keys WHERE id = 'key_x'").run();
  await within((k) => k.find(sha256('elsewhere')) === undefined, 'the deletion');
});

t.test('uses are counted in memory and written now and then', async (t) => {
  const { keys, path } = await open(t);
  const { record } = await keys.create({ service: 'a', scopes: ['ingest'] });
  keys.recordUse(record.id, 10);
  keys.recordUse(record.id, 30);
  keys.recordUse(record.id, 20);
  t.match(await keys.list(), [{ usageCount: 3, lastUsedAt: 30 }]);
  await eventually(
    () => query(path, 'SELECT usage_count FROM api_keys')[0]?.['usage_count'] === 3,
    'the uses in the file',
  );
  keys.recordUse(record.id, 40);
  await keys.close();
  t.strictSame(query(path, 'SELECT usage_count, last_used_at FROM api_keys'), [{ usage_count: 4, last_used_at: 40 }]);
});

t.test('10,000 keys that another process adds are all known', async (t) => {
  const { keys, path } = await open(t);
  const other = new Database(path);
  const insert = other.prepare(
    "INSERT INTO api_keys (id, sha256, service, description, scopes, origin, created_at) VALUES (?, ?, 's', '', '[\"ingest\"]', 'created', 1)",
  );
  other.transaction(() => {
    for (let at = 0; at < 10_000; at += 1) insert.run(`key_${at}`, sha256(`secret ${at}`));
  })();
  other.close();
  await eventually(() => keys.size() === 10_000, 'all keys');
  const missing = Array.from({ length: 10_000 }, (_, at) => at).filter((at) => !keys.find(sha256(`secret ${at}`)));
  t.strictSame(missing, []);
});

t.test('while another process holds the database, the environment’s keys hold in memory', async (t) => {
  const path = join(folderOf(t), 'metrics.db');
  const first = await open(t, path);
  await first.keys.syncEnvironment([
    { service: 'one', secret: 'first' },
    { service: 'two', secret: 'second' },
  ]);
  const revoked = first.keys.find(sha256('second'))!;
  await first.keys.revoke(revoked.id);
  await first.keys.close();
  const other = new Database(path);
  t.teardown(() => other.close());
  other.exec('BEGIN IMMEDIATE');
  const { keys } = await open(t, path);
  const wanted = [
    { service: 'one', secret: 'changed' },
    { service: 'two', secret: 'second' },
  ];
  await t.rejects(keys.syncEnvironment(wanted), { code: 'SQLITE_BUSY' });
  t.match(keys.find(sha256('changed')), { service: 'one', origin: 'environment', scopes: ['ingest'] });
  const { id } = keys.find(sha256('changed'))!;
  t.equal(keys.find(sha256('first')), undefined, 'its variable changed');
  t.equal(keys.find(sha256('second')), undefined, 'what an operator revoked stays so');
  other.exec('ROLLBACK');
  await keys.syncEnvironment(wanted);
  t.match(keys.find(sha256('changed')), { id, service: 'one' }, 'under the id that it had meanwhile');
  t.equal(keys.find(sha256('second')), undefined);
  const ofOne = (await keys.list()).filter(({ service }) => service === 'one');
  t.equal(ofOne.length, 2);
  t.match(
    ofOne.find((key) => key.id !== id),
    { revokedAt: START },
    'the table says so too',
  );
  t.equal(ofOne.find((key) => key.id === id)?.revokedAt, undefined);
});
