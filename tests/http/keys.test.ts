import { join } from 'node:path';
import t, { type Test } from 'tap';
import { openKeyStore } from '../../src/sinks/sqlite/key-store.ts';
import { systemClock } from '../../src/telemetry/system-clock.ts';
import { createLog } from '../../src/telemetry/log.ts';
import { endsOf } from '../support/ends.ts';
import { goodBody, testGateway } from './gateway.ts';
import { folderOf } from '../support/folder.ts';

interface KeyAnswer {
  readonly key: { readonly id: string; readonly state: string; readonly expires_at: string | null };
  readonly secret: string;
}

/** A gateway whose keys lie in a real database. */
async function start(t: Test) {
  const atEnd = endsOf(t);
  const keys = await openKeyStore({
    path: join(folderOf(t), 'metrics.db'),
    log: createLog({ level: 'silent' }),
    clock: systemClock,
  });
  atEnd(() => keys.close());
  const gateway = await testGateway({ context: { keys } });
  atEnd(gateway.close);
  const { secret: admin } = await keys.create({ service: 'operations', scopes: ['admin'] });
  const { port } = await gateway.serve();
  const call = async (method: string, path: string, body?: unknown) => {
    const response = await fetch(`http://127.0.0.1:${port}${path}`, {
      method,
      headers: { 'X-API-Key': admin },
      ...(body === undefined ? undefined : { body: new TextEncoder().encode(JSON.stringify(body)) }),
    });
    const text = await response.text();
    return { status: response.status, json: JSON.parse(text) as KeyAnswer & Readonly<Record<string, unknown>>, text };
  };
  const send = async (secret: string): Promise<{ status: number; detail: string | undefined }> => {
    const response = await fetch(`http://127.0.0.1:${port}/metrics`, {
      method: 'POST',
      headers: { 'X-API-Key': secret },
      body: new TextEncoder().encode(goodBody()),
    });
    const { detail } = (await response.json()) as { detail?: string };
    return { status: response.status, detail };
  };
  const until = async (secret: string, status: number): Promise<void> => {
    for (const started = Date.now(); (await send(secret)).status !== status;) {
      if (Date.now() - started > 2000) throw new Error(`not ${status} within 2 s`);
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
  };
  return { gateway, call, send, until, admin, keys };
}

t.test('a key is made, shown once, used, changed, rotated and revoked', async (t) => {
  const { call, send, until, gateway, admin } = await start(t);
  const made = await call('POST', '/admin/keys', {
    service: 'auth-server',
    description: 'blue',
    requests_per_minute: 500,
    expires_at: '2099-01-01T00:00:00Z',
  });
  t.equal(made.status, 201);
  const { key, secret } = made.json;
  t.match(secret, /^mcp_metrics_[A-Za-z0-9_-]{43}$/);
  t.match(key, {
    id: /^key_[0-9a-f]{16}$/,
    service: 'auth-server',
    scopes: ['ingest'],
    requests_per_minute: 500,
    state: 'active',
    expires_at: '2099-01-01T00:00:00.000Z',
    last_used_at: null,
    usage_count: 0,
  });
  await until(secret, 200);

  const listed = await call('GET', '/admin/keys');
  t.notMatch(listed.text, secret.slice(12), 'the secret is not shown again');
  t.match((await call('GET', `/admin/keys/${key.id}`)).json, { usage_count: 1, last_used_at: /^20/ });

  const changed = await call('PATCH', `/admin/keys/${key.id}`, { description: 'green', requests_per_minute: null });
  t.match(changed.json, { description: 'green', requests_per_minute: null, scopes: ['ingest'] });

  const rotated = await call('POST', `/admin/keys/${key.id}/rotate`, { overlap_seconds: 3600 });
  t.equal(rotated.status, 201);
  t.not(rotated.json.key.id, key.id);
  await until(rotated.json.secret, 200);
  t.equal((await send(secret)).status, 200, 'the old key works for the overlap');
  const again = await call('POST', `/admin/keys/${rotated.json.key.id}/rotate?overlap_seconds=0`);
  await until(rotated.json.secret, 401);
  await until(again.json.secret, 200);

  t.match((await call('DELETE', `/admin/keys/${again.json.key.id}`)).json, { state: 'revoked', revoked_at: /^20/ });
  await until(again.json.secret, 401);
  t.equal((await send(secret)).status, 200, 'another key is not touched');

  const said = JSON.stringify(gateway.logged);
  for (const each of [secret, rotated.json.secret, again.json.secret, admin]) {
    t.notMatch(said, each.slice(12, 24), 'no part of a secret is logged');
  }
  t.match(
    gateway.logged.map(({ message }) => message),
    ['key created', 'key changed', 'key rotated', 'key rotated', 'key revoked'],
  );
});

t.test('what makes no sense is refused, and unknown keys are not found', async (t) => {
  const { call } = await start(t);
  for (const [body, detail] of [
    [{}, /^service: /],
    [{ service: 'a b' }, /^service: /],
    [{ service: 'a', scopes: [] }, /^scopes: /],
    [{ service: 'a', scopes: ['root'] }, /^scopes\[0\]: /],
    [{ service: 'a', requests_per_minute: 0 }, /^requests_per_minute: /],
    [{ service: 'a', expires_at: 'tomorrow' }, /^expires_at: expected a time with an offset, such as 2/],
    [{ service: 'a', expires_at: '2099-02-30T00:00:00Z' }, /^expires_at: expected a time/],
    [{ service: 'a', expires_at: '2001-01-01T00:00:00Z' }, /^expires_at: expected a time to come/],
    [{ service: 'a', description: 'two\nlines' }, /^description: expected one line of text/],
    [{ service: 'a', description: '\u001b[31mred' }, /^description: expected one line of text/],
    [{ service: 'a', secret: 'of my own' }, /^a parameter is unknown; there are service, /],
  ] as const) {
    const { status, json } = await call('POST', '/admin/keys', body);
    t.equal(status, 422, JSON.stringify(body));
    t.match(json['detail'], detail);
  }
  const { json: listed } = await call('GET', '/admin/keys');
  t.same(
    (listed['keys'] as { service: string }[]).map(({ service }) => service),
    ['operations'],
    'none of them made a key',
  );
  for (const [method, path] of [
    ['GET', '/admin/keys/key_0000000000000000'],
    ['PATCH', '/admin/keys/key_0000000000000000'],
    ['DELETE', '/admin/keys/key_0000000000000000'],
    ['POST', '/admin/keys/key_0000000000000000/rotate'],
  ] as const) {
    const { status, json } = await call(method, path, method === 'PATCH' ? { description: 'x' } : undefined);
    t.equal(status, 404, `${method} ${path}`);
    t.equal(json['code'], 'not_found');
  }
});

t.test('whoever sends a key that has ended is told so', async (t) => {
  const { call, send, until } = await start(t);
  const made = await call('POST', '/admin/keys', {
    service: 'a',
    expires_at: new Date(Date.now() + 700).toISOString(),
  });
  await until(made.json.secret, 200);
  await until(made.json.secret, 401);
  t.match((await send(made.json.secret)).detail, /^Inactive API key: it has expired/);
  const other = await call('POST', '/admin/keys', { service: 'a' });
  await until(other.json.secret, 200);
  await call('DELETE', `/admin/keys/${other.json.key.id}`);
  await until(other.json.secret, 401);
  t.match((await send(other.json.secret)).detail, /^Inactive API key: it was revoked/);
  t.match((await send('guess')).detail, /^Unknown API key/);
});

t.test('an expiry is set, moved and taken back', async (t) => {
  const { call, until } = await start(t);
  const made = await call('POST', '/admin/keys', { service: 'a', expires_at: null, scopes: ['ingest', 'ingest'] });
  t.match(made.json.key, { expires_at: null, scopes: ['ingest'] });
  const path = `/admin/keys/${made.json.key.id}`;
  const at = '2001-01-01T00:00:00.000Z';
  t.match((await call('PATCH', path, { expires_at: at })).json, { expires_at: at, state: 'expired' });
  await until(made.json.secret, 401);
  t.match((await call('PATCH', path, { description: 'x' })).json, { expires_at: at }, 'what is not named stays');
  t.match((await call('PATCH', path, { expires_at: null })).json, { expires_at: null, state: 'active' });
  await until(made.json.secret, 200);
  t.match((await call('PATCH', path, {})).json, { usage_count: 1 }, 'a change shows the uses as they are');
});

t.test('a key that has ended is not brought back by a rotation', async (t) => {
  const { call } = await start(t);
  const { key: revoked } = (await call('POST', '/admin/keys', { service: 'a' })).json;
  const { key: expired } = (await call('POST', '/admin/keys', { service: 'b' })).json;
  await call('DELETE', `/admin/keys/${revoked.id}`);
  await call('PATCH', `/admin/keys/${expired.id}`, { expires_at: '2001-01-01T00:00:00Z' });
  for (const { id } of [revoked, expired]) {
    const { status, json } = await call('POST', `/admin/keys/${id}/rotate`);
    t.match({ status, json }, { status: 409, json: { code: 'conflict', detail: /create a new one/ } });
  }
  const { json } = await call('GET', '/admin/keys');
  t.equal((json['keys'] as unknown[]).length, 3, 'no key was made');
});

t.test('keys of the environment have the scope ingest, whatever is asked for', async (t) => {
  const { call, keys, send } = await start(t);
  const { secret } = (await call('POST', '/admin/keys', { service: 'a', scopes: ['admin'] })).json;
  await keys.syncEnvironment([
    { service: 'env', secret: 'of the environment' },
    { service: 'adopted', secret },
  ]);
  const all = await keys.list();
  t.same(
    all.filter(({ origin }) => origin === 'environment').map(({ service, scopes }) => [service, scopes]),
    [
      ['adopted', ['ingest']],
      ['env', ['ingest']],
    ],
  );
  const id = all.find(({ service }) => service === 'env')?.id ?? '';
  const refused = await call('PATCH', `/admin/keys/${id}`, { scopes: ['admin'] });
  t.match(refused, { status: 409, json: { code: 'conflict', detail: /scope ingest alone/ } });
  t.match((await call('PATCH', `/admin/keys/${id}`, { description: 'blue' })).json, { scopes: ['ingest'] });
  t.equal((await send('of the environment')).status, 200);
});
