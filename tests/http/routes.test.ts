import t from 'tap';
import { goodBody, SECRET, testGateway } from './gateway.ts';

const KEY = { 'X-API-Key': SECRET };

t.test('GET / tells what this is and what is served', async (t) => {
  const { app } = await testGateway();
  const response = await app.request('/');
  t.equal(response.status, 200);
  t.match(await response.json(), {
    service: 'mcp-metrics-service',
    version: '0.0.0',
    status: 'running',
    endpoints: { metrics: '/metrics', flush: '/flush', health: '/health' },
  });
});

t.test('health, liveness and readiness', async (t) => {
  const problems: string[] = [];
  const { app } = await testGateway({
    dependencies: { readiness: () => ({ ready: problems.length === 0, problems }) },
  });
  t.match(await (await app.request('/health')).json(), { status: 'healthy', service: 'metrics-collection' });
  t.equal((await app.request('/readyz')).status, 200);
  problems.push('journal: the disk is full');
  const degraded = await app.request('/health');
  t.equal(degraded.status, 200, 'it still answers, so a probe that restarts it must not fail');
  t.match(await degraded.json(), { status: 'degraded', problems: ['journal: the disk is full'] });
  const notReady = await app.request('/readyz');
  t.equal(notReady.status, 503);
  t.match(await notReady.json(), { problems: ['journal: the disk is full'] });
  t.equal((await app.request('/livez')).status, 200);
});

t.test('GET /rate-limit tells the state of the key and takes no token', async (t) => {
  const gateway = await testGateway({ rateLimit: { perMinute: 60 } });
  const { port } = await gateway.serve();
  t.teardown(gateway.close);
  const url = `http://127.0.0.1:${port}`;
  for (let sent = 0; sent < 3; sent += 1) {
    await (
      await fetch(`${url}/metrics`, { method: 'POST', headers: KEY, body: new TextEncoder().encode(goodBody()) })
    ).arrayBuffer();
  }
  for (let asked = 0; asked < 5; asked += 1) {
    const answer = (await (await fetch(`${url}/rate-limit`, { headers: KEY })).json()) as Record<string, number>;
    t.match(answer, { service: 'auth-server', rate_limit: 60, available_tokens: 57, reset_time_seconds: 3 });
  }
});

t.test('POST /flush needs any valid key, and answers when it is done', async (t) => {
  let flushed = 0;
  const { app, keys } = await testGateway({
    dependencies: {
      flush: async () => {
        await new Promise((resolve) => setImmediate(resolve));
        flushed += 1;
      },
    },
  });
  t.equal((await app.request('/flush', { method: 'POST' })).status, 401);
  keys.add('reader', { scopes: ['read'] });
  for (const key of [SECRET, 'reader']) {
    const response = await app.request('/flush', { method: 'POST', headers: { 'X-API-Key': key } });
    t.equal(response.status, 200);
    t.match(await response.json(), { status: 'success', message: /./ });
  }
  t.equal(flushed, 2);
});

t.test('what is not served is a problem, and so is a wrong method', async (t) => {
  const { app } = await testGateway();
  const missing = await app.request('/nowhere');
  t.equal(missing.status, 404);
  t.equal(missing.headers.get('content-type'), 'application/problem+json');
  t.match(await missing.json(), { code: 'not_found', status: 404, request_id: /^req_/ });
  for (const [method, path, allow] of [
    ['GET', '/metrics', 'POST'],
    ['PUT', '/flush', 'POST'],
    ['DELETE', '/', 'GET'],
  ] as const) {
    const wrong = await app.request(path, { method });
    t.equal(wrong.status, 405, `${method} ${path}`);
    t.equal(wrong.headers.get('allow'), allow);
    t.match(await wrong.json(), { code: 'method_not_allowed' });
  }
});

t.test('a route that fails answers without its cause, which the log has', async (t) => {
  const { app, logged } = await testGateway({
    dependencies: { flush: () => Promise.reject(new Error('secret cause')) },
  });
  const response = await app.request('/flush', { method: 'POST', headers: KEY });
  t.equal(response.status, 500);
  t.notMatch(await response.text(), /secret cause/);
  t.equal(logged.length, 1);
});
