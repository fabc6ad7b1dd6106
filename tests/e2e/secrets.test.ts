/** No byte of a key is where it should not be: in answers, logs, metrics, or any file of the data directory. */
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { openKeyStore } from '../../src/sinks/sqlite/key-store.ts';
import { systemClock } from '../../src/telemetry/system-clock.ts';
import { createLog } from '../../src/telemetry/log.ts';
import { rawConnection } from '../http/raw-connection.ts';
import { spawnGateway, startGateway } from '../support/gateway.ts';
import { waitFor } from '../support/wait-for.ts';
import { folderOf } from '../support/folder.ts';

/** Each run of ten characters of a secret, beyond the prefix that all keys have. */
const partsOf = (secret: string): string[] => {
  const own = secret.replace(/^mcp_metrics_/, '');
  return Array.from({ length: own.length - 9 }, (_, at) => own.slice(at, at + 10));
};

const filesIn = (directory: string): string[] =>
  readdirSync(directory, { recursive: true, encoding: 'utf8' })
    .map((name) => join(directory, name))
    .filter((path) => statSync(path).isFile());

const metric = { type: 'auth_request', value: 1, dimensions: { success: true } };

t.test('after a run that provokes every error, no part of a key is anywhere', async (t) => {
  const dataDirectory = folderOf(t);
  const log = createLog({ level: 'silent' });
  const keys = await openKeyStore({ path: join(dataDirectory, 'metrics.db'), log, clock: systemClock });
  const { secret: admin } = await keys.create({ service: 'operations', scopes: ['admin'] });
  const { secret: ended, record } = await keys.create({ service: 'old', scopes: ['ingest'] });
  await keys.revoke(record.id);
  await keys.close();
  const text = 'a key of any text: 0123456789, "quoted"';
  const gateway = await startGateway({ dataDirectory, env: { METRICS_API_KEY_TEXT: text } });
  t.teardown(() => gateway.stop('SIGKILL'));
  const secrets = new Set([gateway.key, admin, ended, text]);

  const said: string[] = [];
  const call = async (path: string, init: RequestInit = {}) => {
    const response = await fetch(`${gateway.url}${path}`, init);
    const body = await response.text();
    said.push(`${[...response.headers].join('\n')}\n${body}`);
    return { status: response.status, body };
  };
  const statuses = new Set<number>();
  for (const secret of secrets) {
    const sent = Buffer.from(secret).toString('latin1');
    const wrong = [`${sent}x`, sent.slice(0, -1), sent.toUpperCase(), `${sent}, ${sent}`];
    for (const key of [sent, ...wrong]) {
      for (const [path, init] of [
        ['/metrics', { method: 'POST', body: JSON.stringify({ service: 'a', metrics: [metric] }) }],
        ['/metrics', { method: 'POST', body: 'not json' }],
        ['/metrics', { method: 'POST', body: JSON.stringify({ service: 'a', metrics: [{}, 1] }) }],
        ['/metrics', { method: 'POST', body: '{}', headers: { 'Content-Type': 'text/plain' } }],
        ['/metrics', { method: 'POST', body: 'x'.repeat(11 * 1024 * 1024) }],
        ['/metrics', { method: 'GET' }],
        ['/flush', { method: 'POST' }],
        ['/rate-limit', {}],
        ['/admin/keys', {}],
        ['/admin/keys', { method: 'POST', body: '{"service":' }],
        [`/admin/keys/${encodeURIComponent(key)}`, { method: 'DELETE' }],
        [`/admin/keys/${encodeURIComponent(key)}`, { method: 'PUT' }],
        [`/admin/retention/policies/${encodeURIComponent(key)}`, { method: 'PUT', body: '{"retention_days":1}' }],
        [`/api/v1/query/${encodeURIComponent(key)}?user_hash=${encodeURIComponent(key)}`, {}],
        [`/api/v1/query/top-tools?${encodeURIComponent(key)}=1`, {}],
        [`/nowhere/${encodeURIComponent(key)}?api_key=${encodeURIComponent(key)}`, {}],
      ] as const) {
        const headers = {
          'Content-Type': 'application/json',
          'X-API-Key': key,
          'User-Agent': key,
          Cookie: key,
          ...('headers' in init ? init.headers : {}),
        };
        // A refused body may end the connection while it is being sent; what was answered is looked at all the same.
        const answer = await call(path, { ...init, headers }).catch(() => undefined);
        if (answer !== undefined) statuses.add(answer.status);
      }
    }
    const raw = await rawConnection(Number(new URL(gateway.url).port));
    raw.write(`POST /metrics HTTP/9 ${secret}\r\nX-API-Key: ${secret}\r\n${secret}\r\n\r\n`);
    said.push((await raw.answer()).body);
    raw.destroy();
  }
  for (const status of [200, 400, 401, 403, 404, 405, 413, 415, 422, 429])
    t.ok(statuses.has(status), `${status} was provoked`);

  const asAdmin = { 'X-API-Key': admin };
  const made = await call('/admin/keys', { method: 'POST', headers: asAdmin, body: '{"service":"new"}' });
  for (const secret of secrets) {
    for (const body of [{ service: secret }, { service: 'a', scopes: [secret] }, { service: 'a', expires_at: secret }])
      await call('/admin/keys', {
        method: 'POST',
        headers: asAdmin,
        body: JSON.stringify({ ...body, description: 1 }),
      });
    await call(`/admin/retention/preview?table_name=${encodeURIComponent(secret)}`, { headers: asAdmin });
  }
  const { secret: fresh, key } = JSON.parse(made.body) as { secret: string; key: { id: string } };
  const shown = said.findIndex((each) => each.includes(fresh));
  t.ok(shown >= 0, 'this answer alone shows a secret');
  said.splice(shown, 1);
  await call('/admin/keys', { headers: asAdmin });
  await call(`/admin/keys/${key.id}`, { method: 'DELETE', headers: asAdmin });
  secrets.add(fresh);
  await gateway.flush();
  said.push(await gateway.scrape());

  const second = await spawnGateway({ dataDirectory, key: gateway.key });
  t.teardown(() => second.stop('SIGKILL'));
  await waitFor('the second gateway to refuse its start', () => second.exit() !== undefined);
  await gateway.stop('SIGTERM');
  said.push(gateway.output(), second.output());

  const places = [
    ...said.map((content, at) => ({ name: `answer or output ${at}`, content: Buffer.from(content) })),
    ...filesIn(dataDirectory).map((path) => ({ name: path.slice(dataDirectory.length), content: readFileSync(path) })),
  ];
  t.ok(places.some(({ name }) => name.includes('journal')) && places.some(({ name }) => name.endsWith('metrics.db')));
  t.ok(gateway.output().length > 100, 'there is a log to look at');
  for (const secret of secrets) {
    const found = places.filter(({ content }) => partsOf(secret).some((part) => content.includes(part)));
    t.same(
      found.map(({ name, content }) => `${name}: ${content.subarray(0, 300).toString()}`),
      [],
      'found nowhere',
    );
  }
});
