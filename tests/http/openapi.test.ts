import Ajv2020 from 'ajv/dist/2020.js';
import addFormats from 'ajv-formats';
import { hash } from 'node:crypto';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { openStore } from '../../src/sinks/sqlite/store.ts';
import { createLog } from '../../src/telemetry/log.ts';
import { endsOf } from '../support/ends.ts';
import { goodBody, SECRET, testGateway } from './gateway.ts';
import { folderOf } from '../support/folder.ts';

interface Document {
  readonly openapi: string;
  readonly paths: Readonly<Record<string, Readonly<Record<string, DocumentedOperation>>>>;
  readonly components: { readonly schemas: Readonly<Record<string, object>> };
}
interface DocumentedOperation {
  readonly responses: Readonly<
    Record<string, { readonly content: Readonly<Record<string, { readonly schema?: { readonly $ref?: string } }>> }>
  >;
}

async function start(t: Test) {
  const atEnd = endsOf(t);
  const store = await openStore(join(folderOf(t), 'metrics.db'), { log: createLog({ level: 'silent' }) });
  atEnd(() => store.close());
  const { retention, history } = store;
  await retention.applyDefaults(90, Date.now());
  const gateway = await testGateway({ dependencies: { retention, history } });
  gateway.keys.add('admin', { scopes: ['admin', 'read', 'ingest'] });
  const document = (await (await gateway.app.request('/openapi.json')).json()) as Document;
  return { gateway, document };
}

t.test('every route is in the document, and nothing else', async (t) => {
  const { gateway, document } = await start(t);
  const served = new Set(
    gateway.app.routes
      .filter(({ method }) => method !== 'ALL')
      .map(({ method, path }) => `${method} ${path.replace(/:([a-z]+)/g, '{$1}')}`),
  );
  const documented = Object.entries(document.paths).flatMap(([path, methods]) =>
    Object.keys(methods).map((method) => `${method.toUpperCase()} ${path}`),
  );
  t.same(documented.toSorted(), [...served].toSorted());
  t.match(document.openapi, /^3\.1\./);
});

t.test('answers are as the document says, receipts and problems alike', async (t) => {
  const { gateway, document } = await start(t);
  const { port } = await gateway.serve();
  t.teardown(gateway.close);
  const ajv = addFormats.default(new Ajv2020.default({ strict: false, allErrors: true }));
  ajv.addSchema({ $id: 'api', components: document.components });
  const admin = { 'X-API-Key': 'admin' };
  const partial = goodBody(3).replace('"value":1', '"value":-1');

  for (const [method, path, options = {}, template = path] of [
    ['GET', '/'],
    ['GET', '/health'],
    ['GET', '/livez'],
    ['GET', '/readyz'],
    ['POST', '/flush', { headers: admin }],
    ['GET', '/rate-limit', { headers: admin }],
    ['POST', '/metrics', { headers: { 'X-API-Key': SECRET }, body: goodBody(2) }],
    ['POST', '/metrics', { headers: { 'X-API-Key': SECRET }, body: partial }],
    ['POST', '/metrics', { headers: { 'X-API-Key': SECRET }, body: '{"service":"a","metrics":[]}' }],
    ['POST', '/metrics', { headers: { 'X-API-Key': SECRET }, body: 'x' }],
    ['POST', '/metrics', { headers: { 'X-API-Key': SECRET, 'Content-Type': 'text/plain' }, body: 'x' }],
    ['POST', '/metrics', { headers: {}, body: goodBody() }],
    ['GET', '/admin/keys', { headers: admin }],
    ['GET', '/admin/keys', { headers: { 'X-API-Key': SECRET } }],
    ['GET', '/admin/keys/none', { headers: admin }, '/admin/keys/{id}'],
    ['POST', '/admin/keys', { headers: admin, body: '{}' }],
    ['GET', '/admin/retention/policies', { headers: admin }],
    [
      'PUT',
      '/admin/retention/policies/metrics?retention_days=7',
      { headers: admin },
      '/admin/retention/policies/{table}',
    ],
    [
      'PUT',
      '/admin/retention/policies/metrics?retention_days=0',
      { headers: admin },
      '/admin/retention/policies/{table}',
    ],
    ['GET', '/admin/retention/preview', { headers: admin }],
    ['POST', '/admin/retention/cleanup', { headers: admin }],
    ['POST', '/admin/retention/cleanup?table_name=metrics', { headers: admin }, '/admin/retention/cleanup'],
    ['GET', '/admin/database/stats', { headers: admin }],
    ['GET', '/admin/database/size', { headers: admin }],
    ['GET', '/api/v1/query', { headers: admin }],
    ['GET', '/api/v1/query/top-tools', { headers: admin }, '/api/v1/query/{name}'],
    ['GET', '/api/v1/query/none', { headers: admin }, '/api/v1/query/{name}'],
  ] as readonly (readonly [string, string, { headers?: Record<string, string>; body?: string }?, string?])[]) {
    const { headers = {}, body } = options;
    const response = await fetch(`http://127.0.0.1:${port}${path}`, {
      method,
      headers,
      ...(body === undefined ? undefined : { body: new TextEncoder().encode(body) }),
    });
    const name = `${method} ${path} → ${response.status}`;
    const documented = document.paths[template]?.[method.toLowerCase()]?.responses[response.status];
    const media = response.headers.get('content-type')?.split(';')[0] ?? '';
    const schema = documented?.content[media]?.schema;
    t.ok(schema, `${name} is documented as ${media}`);
    const check = ajv.compile({ $ref: `api${schema?.$ref ?? ''}` });
    t.ok(check(await response.json()), `${name}: ${ajv.errorsText(check.errors)}`);
  }
});

t.test('the schema of a metric is the one that checks it', async (t) => {
  const { document } = await start(t);
  const operation = document.paths['/metrics']?.['post'] as unknown as {
    requestBody: { content: { 'application/json': { schema: object } } };
  };
  const ajv = addFormats.default(new Ajv2020.default({ strict: false }));
  const check = ajv.compile(operation.requestBody.content['application/json'].schema);
  t.ok(check(JSON.parse(goodBody(3))), ajv.errorsText(check.errors));
  for (const broken of [
    { metrics: [{ type: 'custom', value: 1 }] },
    { service: 'a', metrics: [] },
    { service: 'a', metrics: [{ type: 'none', value: 1 }] },
    { service: 'a', metrics: [{ type: 'custom', value: -1 }] },
    { service: 'a', metrics: [{ type: 'custom', value: 1, dimensions: { 'a-b': 1 } }] },
    { service: 'a', metrics: [{ type: 'custom', value: 1, dimensions: { a: {} } }] },
  ]) {
    t.notOk(check(broken), JSON.stringify(broken));
  }
});

t.test('the documentation page shows every route and needs no network', async (t) => {
  const { gateway, document } = await start(t);
  const response = await gateway.app.request('/docs');
  const page = await response.text();
  t.match(response.headers.get('content-type'), /^text\/html/);
  for (const path of Object.keys(document.paths)) t.ok(page.includes(`<code>${path}</code>`), path);
  t.notMatch(page, /<script|<link|<img|src=|@import|url\(/i, 'nothing is loaded');
  t.notMatch(page, /https?:/i, 'and nothing is linked elsewhere');
  const style = /<style>([^]*)<\/style>/.exec(page)?.[1] ?? '';
  const allowed = /style-src 'sha256-([^']+)'/.exec(response.headers.get('content-security-policy') ?? '')?.[1];
  t.equal(allowed, hash('sha256', style, 'base64'), 'the policy allows the style that is there, to the letter');
  t.match(response.headers.get('content-security-policy'), /^default-src 'none'; /);
});
